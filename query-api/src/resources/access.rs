//! `GET /streams/{id}/access`: may I enter, and why. A join decides it again, from the log.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use platform::http::amount::AmountNumber;
use platform::http::auth::{Authenticated, Caller, Role};
use platform::http::json::json;
use platform::http::position::{MinPosition, Position};
use platform::http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::read_model::{ReadModel, ShowFacts, show_id, store_failed, view};

/// Whether the caller may enter, and the facts that decided it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessDocument {
    access_granted: bool,
    /// public, creator, staff, entered; or what is missing: subscription_required, ticket_required,
    /// subscription_and_ticket_required.
    #[schema(example = "public")]
    reason: &'static str,
    facts: FactsDocument,
}

/// The facts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FactsDocument {
    status: String,
    is_subscriber_only: bool,
    /// 0 where no ticket is needed.
    ticket_price: AmountNumber,
    currency: String,
    is_creator: bool,
    is_staff: bool,
    has_entered: bool,
}

/// May I enter?
#[utoipa::path(
    get,
    path = "/api/v1/streams/{id}/access",
    tag = "Audience",
    operation_id = "getAccess",
    params(("id" = String, Path, description = "The stream")),
    responses(
        (status = 200, description = "Whether the caller may enter, and why", body = AccessDocument),
        (status = 404, description = "Unknown", body = Problem, content_type = "application/problem+json"),
    ),
    security(("bearer" = [])),
)]
pub(super) async fn get(
    State(read_model): State<Arc<ReadModel>>,
    Authenticated(caller): Authenticated,
    min: MinPosition,
    Path(stream_id): Path<String>,
) -> Result<Response, Problem> {
    let show = show_id(&stream_id)?;
    let position = Position(read_model.positions.reach(&[view::STREAMS, view::VIEWERS], min).await?);
    let facts = read_model.facts(show).await?;
    let person = read_model.person(&caller);
    let has_entered = read_model.has_entered(show, person).await.map_err(|error| store_failed(&error))?;
    let document = judge(facts, &caller, |facts| person.0 == facts.creator, has_entered);
    Ok((position, json(StatusCode::OK, &document)).into_response())
}

fn judge(
    facts: ShowFacts,
    caller: &Caller,
    is_creator: impl Fn(&ShowFacts) -> bool,
    has_entered: bool,
) -> AccessDocument {
    let is_creator = is_creator(&facts);
    let is_staff = caller.has(Role::Moderator) || caller.has(Role::Admin);
    let (access_granted, reason) = match (facts.is_subscriber_only, facts.ticket_price.is_some()) {
        (false, false) => (true, "public"),
        _ if is_creator => (true, "creator"),
        _ if is_staff => (true, "staff"),
        _ if has_entered => (true, "entered"),
        (true, false) => (false, "subscription_required"),
        (false, true) => (false, "ticket_required"),
        (true, true) => (false, "subscription_and_ticket_required"),
    };
    let digits = facts.minor_digits();
    AccessDocument {
        access_granted,
        reason,
        facts: FactsDocument {
            status: facts.status,
            is_subscriber_only: facts.is_subscriber_only,
            ticket_price: AmountNumber::new(facts.ticket_price.unwrap_or_default(), digits),
            currency: facts.currency,
            is_creator,
            is_staff,
            has_entered,
        },
    }
}
