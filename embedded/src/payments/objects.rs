//! Stripe's objects as JSON, with every field that the real ones have.

use super::intent::{Intent, Phase};
use serde_json::{Value, json};

/// Fields of an intent that a tip never fills.
const INTENT_NULLS: &[&str] = &[
    "application",
    "application_fee_amount",
    "automatic_payment_methods",
    "customer",
    "excluded_payment_method_types",
    "on_behalf_of",
    "payment_method_configuration_details",
    "receipt_email",
    "review",
    "setup_future_usage",
    "shipping",
    "source",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
];
/// Fields of a charge that a tip never fills.
const CHARGE_NULLS: &[&str] = &[
    "application",
    "application_fee",
    "application_fee_amount",
    "calculated_statement_descriptor",
    "customer",
    "failure_balance_transaction",
    "on_behalf_of",
    "receipt_email",
    "receipt_number",
    "receipt_url",
    "review",
    "shipping",
    "source",
    "source_transfer",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
];

/// A payment intent; the charge whole if it is expanded, else its id.
pub(super) fn intent_json(intent: &Intent, expand_charge: bool) -> Value {
    let latest_charge = match (intent.charge(), expand_charge) {
        (Some(_), true) => charge_json(intent).unwrap_or(Value::Null),
        (Some((id, _)), false) => id.into(),
        (None, _) => Value::Null,
    };
    let (canceled_at, cancellation_reason) = match &intent.phase {
        Phase::Canceled { at_ms, reason } => (json!(at_ms / 1_000), json!(reason)),
        Phase::RequiresPaymentMethod
        | Phase::RequiresConfirmation
        | Phase::RequiresAction { .. }
        | Phase::Processing { .. }
        | Phase::Succeeded { .. }
        | Phase::Failed { .. } => (Value::Null, Value::Null),
    };
    let mut object = json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": if intent.is_paid() { intent.amount } else { 0 },
        "canceled_at": canceled_at,
        "cancellation_reason": cancellation_reason,
        "capture_method": "automatic",
        "client_secret": intent.client_secret,
        "confirmation_method": "automatic",
        "created": intent.created_ms / 1_000,
        "currency": intent.currency,
        "description": intent.description,
        "last_payment_error": if intent.has_failed() { failure_json() } else { Value::Null },
        "latest_charge": latest_charge,
        "livemode": false,
        "metadata": intent.metadata,
        "next_action": next_action(&intent.phase),
        // a refused means of payment is detached
        "payment_method": if intent.has_failed() { Value::Null } else { json!(intent.payment_method) },
        "payment_method_options": { "card": {
            "installments": null,
            "mandate_options": null,
            "network": null,
            "request_three_d_secure": "automatic",
        } },
        "payment_method_types": ["card"],
        "processing": processing(&intent.phase),
        "status": status(&intent.phase),
        "transfer_group": intent.transfer_group,
    });
    add_nulls(&mut object, INTENT_NULLS);
    object
}

fn add_nulls(object: &mut Value, names: &[&str]) {
    for &name in names {
        object[name] = Value::Null;
    }
}

fn status(phase: &Phase) -> &'static str {
    match phase {
        Phase::RequiresPaymentMethod | Phase::Failed { .. } => "requires_payment_method",
        Phase::RequiresConfirmation => "requires_confirmation",
        Phase::RequiresAction { .. } => "requires_action",
        Phase::Processing { .. } => "processing",
        Phase::Succeeded { .. } => "succeeded",
        Phase::Canceled { .. } => "canceled",
    }
}

fn next_action(phase: &Phase) -> Value {
    if matches!(phase, Phase::RequiresAction { .. }) {
        json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } })
    } else {
        Value::Null
    }
}

fn processing(phase: &Phase) -> Value {
    if matches!(phase, Phase::Processing { .. }) { json!({ "type": "card" }) } else { Value::Null }
}

fn failure_json() -> Value {
    json!({
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "generic_decline",
        "message": "Your card was declined.",
    })
}

/// The charge of an intent, once there is one.
pub(super) fn charge_json(intent: &Intent) -> Option<Value> {
    let (id, at_ms) = intent.charge()?;
    let paid = intent.is_paid();
    let failed = |text: &str| if paid { Value::Null } else { text.into() };
    let mut charge = json!({
        "id": id,
        "object": "charge",
        "amount": intent.amount,
        "amount_captured": if paid { intent.amount } else { 0 },
        "amount_refunded": 0,
        "balance_transaction": if paid { json!(id.replacen("ch_", "txn_", 1)) } else { Value::Null },
        "billing_details": billing_details(),
        "captured": paid,
        "created": at_ms / 1_000,
        "currency": intent.currency,
        "description": intent.description,
        "disputed": false,
        "failure_code": failed("card_declined"),
        "failure_message": failed("Your card was declined."),
        "fraud_details": {},
        "livemode": false,
        "metadata": intent.metadata,
        "outcome": outcome(paid),
        "paid": paid,
        "payment_intent": intent.id,
        "payment_method": intent.payment_method,
        "payment_method_details": { "type": "card", "card": card_json(intent.amount) },
        "refunded": false,
        "refunds": { "object": "list", "data": [], "has_more": false, "url": format!("/v1/charges/{id}/refunds") },
        "status": if paid { "succeeded" } else { "failed" },
        "transfer_group": intent.transfer_group,
    });
    add_nulls(&mut charge, CHARGE_NULLS);
    Some(charge)
}

fn billing_details() -> Value {
    json!({
        "address": {
            "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null,
        },
        "email": null,
        "name": null,
        "phone": null,
        "tax_id": null,
    })
}

fn outcome(paid: bool) -> Value {
    json!({
        "advice_code": null,
        "network_advice_code": null,
        "network_decline_code": null,
        "network_status": if paid { "approved_by_network" } else { "declined_by_network" },
        "reason": if paid { Value::Null } else { "generic_decline".into() },
        "seller_message": if paid { "Payment complete." } else { "The bank did not return any further details." },
        "type": if paid { "authorized" } else { "issuer_declined" },
    })
}

fn card_json(amount: i64) -> Value {
    json!({
        "amount_authorized": amount,
        "authorization_code": null,
        "brand": "visa",
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": { "status": "disabled" },
        "fingerprint": "sandbox",
        "funding": "credit",
        "incremental_authorization": { "status": "unavailable" },
        "installments": null,
        "last4": "4242",
        "mandate": null,
        "multicapture": { "status": "unavailable" },
        "network": "visa",
        "network_token": { "used": false },
        "network_transaction_id": null,
        "overcapture": { "maximum_amount_capturable": amount, "status": "unavailable" },
        "regulated_status": null,
        "three_d_secure": null,
        "wallet": null,
    })
}
