//! POST /streams/{id}/tip.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::command::{Action, RequestTip};
use domain::{Rejection, Show};
use platform::http::amount::{Amount, AmountNumber};
use platform::http::json::Json;
use platform::http::problem::Problem;
use schemas::events::DeclineReason;
use schemas::{Currency, Money, PaymentId, Revision, ShowId, Timestamp, TipId};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::done;
use super::ask::{Ask, PayingAsk, StreamPath};
use super::document::amount;
use super::problems::{no_such_stream, of_command, of_tip};
use super::validate;
use crate::actors::CommandError;
use crate::sealing::shown_name;
use crate::state::{App, AppState};
use crate::tips::{MESSAGE_FIELD, TipOutcome, TipStanding, ids_of};

/// A tip.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SendTip {
    /// Above zero, with at most the currency's fraction digits.
    #[schema(example = 10.00)]
    amount: Amount,
    /// ISO 4217; the stream's. Default: the stream's.
    #[schema(example = "USD")]
    currency: Option<String>,
    /// At most 500 characters.
    message: Option<String>,
}

/// A tip as everybody in the stream gets it, with its payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SentTip {
    #[schema(value_type = String)]
    tip_id: TipId,
    user_id: String,
    username: String,
    amount: AmountNumber,
    currency: &'static str,
    message: Option<String>,
    /// When it was captured; null while it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    timestamp: Option<Timestamp>,
    #[schema(value_type = String)]
    payment_id: PaymentId,
    /// CAPTURED or PENDING.
    status: &'static str,
    /// Its place among the stream's events; null while it has none.
    sequence: Option<Revision>,
    /// What the payer's client needs to act, where the payer must.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// Send a tip.
///
/// The key is kept for ever: a retry with the same key and body is never charged twice.
#[utoipa::path(
    post, path = "/api/v1/streams/{id}/tip", tag = "Tips", operation_id = "sendTip",
    request_body = SendTip,
    params(
        ("id" = String, Path, description = "the stream"),
        ("Idempotency-Key" = String, Header, description = "a new value for each tip, the same one for its retries"),
    ),
    responses(
        (status = 201, description = "paid; everybody sees it", body = SentTip),
        (status = 202, description = "not paid yet: the payer must act (`clientSecret`), or the provider is not done", body = SentTip),
        (status = 400, description = "no Idempotency-Key", body = Problem),
        (status = 402, description = "declined; nothing was charged", body = Problem),
        (status = 403, description = "no access, or the caller's own stream", body = Problem),
        (status = 404, description = "no such stream", body = Problem),
        (status = 409, description = "not LIVE, or tips are off", body = Problem),
        (status = 422, description = "invalid, with the `field`, or the key was used otherwise", body = Problem),
        (status = 429, description = "too many tips", body = Problem),
    ),
    security(("bearer" = []))
)]
pub(super) async fn send_tip(
    State(app): State<AppState>,
    StreamPath(show): StreamPath,
    PayingAsk(ask): PayingAsk,
    body: Json<SendTip>,
) -> Result<Response, Problem> {
    let money = money(&app, show, &body.value).await?;
    let message = validate::tip_message(body.value.message.as_deref())?;
    let tip = request(&app, &ask, money, message.as_deref()).await?;
    // the action is the tip's, which the saga adds
    let command = ask.command(&body.digest, Action::Start);
    let standing = app.tips.give(show, command, tip).await.map_err(of_tip)?;
    app.presence.seen_person(show, ask.person, ask.at);
    answer(&ask, money, message, standing)
}

async fn money(app: &App, show: ShowId, body: &SendTip) -> Result<Money, Problem> {
    if !body.amount.0.is_sign_positive() || body.amount.0.is_zero() {
        return Err(of_command(CommandError::Rejected(Rejection::AmountNotPositive)));
    }
    let currency = match &body.currency {
        Some(code) => validate::currency(code)?,
        None => currency_of(app, show).await?,
    };
    validate::money("amount", body.amount, currency)
}

/// The stream's own currency. It cannot change once tips are taken, so what is in memory will do.
async fn currency_of(app: &App, show: ShowId) -> Result<Currency, Problem> {
    let read = |show: &Show| show.about().map(|about| about.currency);
    if let Some(currency) = app.shows.peek(show, read).await.map_err(of_command)?.seen {
        return Ok(currency);
    }
    app.shows.look(show, read).await.map_err(of_command)?.seen.ok_or_else(no_such_stream)
}

async fn request(app: &App, ask: &Ask, amount: Money, message: Option<&str>) -> Result<RequestTip, Problem> {
    let event = ask.id.event(0);
    let (tip_id, payment_id) = ids_of(ask.id);
    let message = match message {
        Some(text) => Some(app.sealing.text(ask.person, event, MESSAGE_FIELD, text).await?),
        None => None,
    };
    let identity = app.sealing.identity(ask.person, &ask.caller, event).await?;
    Ok(RequestTip { tip_id, payment_id, identity, amount, message })
}

fn answer(
    ask: &Ask,
    money: Money,
    message: Option<String>,
    standing: TipStanding,
) -> Result<Response, Problem> {
    let mut sent = SentTip {
        tip_id: standing.tip_id,
        user_id: ask.caller.sub.to_string(),
        username: shown_name(&ask.caller),
        amount: amount(money),
        currency: money.currency().code(),
        message,
        timestamp: None,
        payment_id: standing.payment_id,
        status: "PENDING",
        sequence: None,
        client_secret: None,
    };
    let status = match standing.outcome {
        TipOutcome::Captured { revision, at } => {
            (sent.status, sent.timestamp, sent.sequence) = ("CAPTURED", Some(at), Some(revision));
            StatusCode::CREATED
        }
        TipOutcome::Pending(secret) => {
            sent.client_secret = secret.map(|secret| secret.expose_secret().to_owned());
            StatusCode::ACCEPTED
        }
        TipOutcome::Declined(reason) => return Err(declined(&standing.payment_id, reason)),
    };
    Ok(done(status, standing.position, &sent))
}

fn declined(payment: &PaymentId, reason: DeclineReason) -> Problem {
    let (reason, detail) = match reason {
        DeclineReason::Declined => {
            ("DECLINED", "the payment was refused; use other means and a new Idempotency-Key")
        }
        DeclineReason::Expired => {
            ("EXPIRED", "the payment was not completed in time; start again with a new Idempotency-Key")
        }
        DeclineReason::Cancelled => {
            ("CANCELLED", "the payment was given up; start again with a new Idempotency-Key")
        }
    };
    Problem::new(StatusCode::PAYMENT_REQUIRED, "payment_declined", detail)
        .with("reason", reason)
        .with("paymentId", payment.to_string())
}
