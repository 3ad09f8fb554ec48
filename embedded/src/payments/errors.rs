//! Stripe's error answers.

use super::intent::Intent;
use super::objects::intent_json;
use http::StatusCode;
use serde_json::{Value, json};

/// An answer that is an error object.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    /// What `stripe-should-retry` says.
    pub(super) should_retry: bool,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: &'static str,
    intent: Option<Box<Intent>>,
}

impl ApiError {
    fn new(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: &'static str,
    ) -> Self {
        Self { status, should_retry: false, kind, code, param: None, message, intent: None }
    }

    /// A parameter that is missing, unknown or wrong.
    pub(super) fn invalid(code: &'static str, param: &str, message: &'static str) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some(code), message);
        Self { param: Some(param.to_owned()), ..error }
    }

    pub(super) fn unauthorized() -> Self {
        let message = "Invalid API Key provided.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", None, message)
    }

    pub(super) fn not_found() -> Self {
        let message = "No such payment_intent.";
        let error =
            Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("resource_missing"), message);
        Self { param: Some("intent".to_owned()), ..error }
    }

    pub(super) fn unknown_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", None, "Unrecognized request URL.")
    }

    /// The bank refused.
    pub(super) fn declined(intent: &Intent) -> Self {
        let message = "Your card was declined.";
        let error = Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", Some("card_declined"), message);
        Self { intent: Some(Box::new(intent.clone())), ..error }
    }

    /// The intent's phase does not allow what was asked.
    pub(super) fn unexpected_state(intent: &Intent) -> Self {
        let code = Some("payment_intent_unexpected_state");
        let message = "This PaymentIntent's status does not allow that.";
        let error = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code, message);
        Self { intent: Some(Box::new(intent.clone())), ..error }
    }

    /// The key belongs to another request.
    pub(super) fn key_reused() -> Self {
        let message = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", None, message)
    }

    /// A request with the key is under way.
    pub(super) fn key_in_use() -> Self {
        let message = "There is currently another in-progress request using this Idempotent Key.";
        let code = Some("idempotency_key_in_use");
        let error = Self::new(StatusCode::CONFLICT, "idempotency_error", code, message);
        Self { should_retry: true, ..error }
    }

    pub(super) fn rate_limited() -> Self {
        let message = "Request rate limit exceeded.";
        let code = Some("rate_limit");
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "invalid_request_error", code, message);
        Self { should_retry: true, ..error }
    }

    pub(super) fn internal() -> Self {
        let message = "An unknown error occurred.";
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "api_error", None, message);
        Self { should_retry: true, ..error }
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.code {
            error["code"] = code.into();
        }
        if let Some(param) = &self.param {
            error["param"] = param.as_str().into();
        }
        if let Some(intent) = &self.intent {
            error["payment_intent"] = intent_json(intent, false);
            if let (Some((charge, _)), "card_error") = (intent.charge(), self.kind) {
                error["charge"] = charge.into();
                error["decline_code"] = "generic_decline".into();
            }
        }
        json!({ "error": error })
    }
}
