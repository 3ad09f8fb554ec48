//! The interface: payment intents as Stripe has them, and a listing of charges for tests.

use super::SandboxConfig;
use super::errors::ApiError;
use super::faults::{Fault, Faults};
use super::form::Form;
use super::intent::{Intent, short_id};
use super::ledger::{Answer, Key, Ledger, Operation, now_ms};
use super::magic;
use super::objects::intent_json;
use super::server::HangUp;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;

/// No request of a tip comes near.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Stripe's longest key.
const KEY_BYTES_MAX: usize = 255;
/// What a browser's key starts with: it may do what the client secret allows.
const PUBLISHABLE_KEY: &str = "pk_test_";

/// What the handlers share.
pub(super) struct App {
    ledger: Mutex<Ledger>,
    secret_key: SecretString,
    faults: Faults,
    config: SandboxConfig,
}

impl App {
    pub(super) fn new(ledger: Ledger, secret_key: SecretString, config: SandboxConfig) -> Self {
        let faults = Faults::new(config.faults.clone());
        Self { ledger: Mutex::new(ledger), secret_key, faults, config }
    }
}

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/payment_intents", post(create))
        .route("/v1/payment_intents/{id}", get(read))
        .route("/v1/payment_intents/{id}/confirm", post(confirm))
        .route("/v1/payment_intents/{id}/cancel", post(cancel))
        .route("/sandbox/charges", get(charges))
        .fallback(async || error(&ApiError::unknown_route()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    change(app, Operation::Create, headers, body).await
}

async fn confirm(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(app, Operation::Confirm(id), headers, body).await
}

async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    change(app, Operation::Cancel(id), headers, body).await
}

async fn read(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    with_faults(app.clone(), async move || {
        let form = Form::parse(query.unwrap_or_default().as_bytes())?;
        let expand_charge = form.expands_charge()?;
        authorize(&app, &headers, &form, Some(&id))?;
        let intent = app.ledger.lock().get(&id, now_ms())?;
        Ok(ok(&intent_json(&intent, expand_charge), false))
    })
    .await
}

async fn change(app: Arc<App>, operation: Operation, headers: HeaderMap, body: Bytes) -> Response {
    with_faults(app.clone(), async move || {
        let form = Form::parse(&body)?;
        let (path, id) = match &operation {
            Operation::Create => ("create".to_owned(), None),
            Operation::Confirm(id) => (format!("{id}/confirm"), Some(id.as_str())),
            Operation::Cancel(id) => (format!("{id}/cancel"), Some(id.as_str())),
        };
        authorize(&app, &headers, &form, id)?;
        let key = idempotency_key(&headers)?.map(|key| Key { key, fingerprint: form.fingerprint(&path) });
        let mut claimed = None;
        if let Some(key) = &key {
            if let Some(answer) = app.ledger.lock().claim(key, now_ms())? {
                return Ok(answered(&answer, true));
            }
            claimed = Some(Claimed { app: app.clone(), key: key.key.clone() });
        }
        tokio::time::sleep(app.config.work).await;
        let answer = execute(app, operation, form, key, claimed).await?;
        let mut response = answered(&answer, false);
        if answer.intent.amount == magic::CHARGED_THEN_CUT && answer.intent.is_paid() {
            response.extensions_mut().insert(HangUp);
        }
        Ok(response)
    })
    .await
}

/// On a thread of its own, so that a caller who goes away cannot stop it half-way.
async fn execute(
    app: Arc<App>,
    operation: Operation,
    form: Form,
    key: Option<Key>,
    claimed: Option<Claimed>,
) -> Result<Answer, ApiError> {
    let work = move || {
        let answer = app.ledger.lock().execute(&operation, &form, key, &app.config, now_ms());
        drop(claimed);
        answer
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(ApiError::internal()))
}

/// A key in flight; released when dropped, whatever became of the request.
struct Claimed {
    app: Arc<App>,
    key: String,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.app.ledger.lock().release(&self.key);
    }
}

/// Injects what the plan says around a request.
async fn with_faults(app: Arc<App>, handle: impl AsyncFnOnce() -> Result<Response, ApiError>) -> Response {
    let (latency, fault) = app.faults.next();
    tokio::time::sleep(latency).await;
    match fault {
        Fault::DropBefore => {
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(HangUp);
            return response;
        }
        Fault::ServerError => return error(&ApiError::internal()),
        Fault::RateLimit => return error(&ApiError::rate_limited()),
        Fault::None | Fault::DropAfter => {}
    }
    let mut response = handle().await.unwrap_or_else(|refused| error(&refused));
    if fault == Fault::DropAfter {
        response.extensions_mut().insert(HangUp);
    }
    response
}

/// Every charge that was tried, `?idempotency_key=` only that key's. Without faults.
async fn charges(State(app): State<Arc<App>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    if bearer(&headers) != Some(app.secret_key.expose_secret()) {
        return error(&ApiError::unauthorized());
    }
    let query = query.unwrap_or_default();
    let wanted = form_urlencoded::parse(query.as_bytes())
        .find_map(|(name, value)| (name == "idempotency_key").then(|| value.into_owned()));
    let listed = |intent: &Intent| wanted.is_none() || intent.idempotency_key == wanted;
    let charged = app.ledger.lock().charged(now_ms());
    let data = charged.iter().filter(|intent| listed(intent)).map(charge_line).collect::<Vec<_>>();
    ok(&json!({ "count": data.len(), "data": data }), false)
}

fn charge_line(intent: &Intent) -> Value {
    json!({
        "charge": intent.charge().map(|(id, _)| id),
        "paymentIntent": intent.id,
        "idempotencyKey": intent.idempotency_key,
        "amount": intent.amount,
        "currency": intent.currency,
        "status": if intent.is_paid() { "succeeded" } else { "failed" },
        "metadata": intent.metadata,
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The secret key may do everything, a publishable one what the intent's client secret allows.
fn authorize(app: &App, headers: &HeaderMap, form: &Form, id: Option<&str>) -> Result<(), ApiError> {
    let presented = bearer(headers).ok_or_else(ApiError::unauthorized)?;
    let secret = form.get("client_secret");
    if presented == app.secret_key.expose_secret() && secret.is_none() {
        return Ok(());
    }
    if !presented.starts_with(PUBLISHABLE_KEY) && presented != app.secret_key.expose_secret() {
        return Err(ApiError::unauthorized());
    }
    let id = id.ok_or_else(ApiError::unauthorized)?;
    let intent = app.ledger.lock().get(id, now_ms())?;
    if secret == Some(intent.client_secret.as_str()) { Ok(()) } else { Err(ApiError::not_found()) }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let message = "Keys are 1 to 255 characters.";
        return Err(ApiError::invalid("parameter_invalid", "Idempotency-Key", message));
    }
    Ok(Some(key.to_owned()))
}

fn answered(answer: &Answer, replayed: bool) -> Response {
    if answer.declined {
        let mut response = error(&ApiError::declined(&answer.intent));
        if replayed {
            response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        return response;
    }
    ok(&intent_json(&answer.intent, answer.expand_charge), replayed)
}

fn ok(body: &Value, replayed: bool) -> Response {
    let mut response = respond(StatusCode::OK, body);
    if replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

fn error(refused: &ApiError) -> Response {
    let mut response = respond(refused.status, &refused.body());
    let retry = HeaderValue::from_static(if refused.should_retry { "true" } else { "false" });
    response.headers_mut().insert("stripe-should-retry", retry);
    response
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(&format!("req_{}", short_id())) {
        headers.insert("request-id", id);
    }
    response
}
