//! The commands over HTTP: one file for each verb. A handler extracts, authorises, builds the command, has it
//! dispatched and maps the answer; limits and rules are the domain's.
//!
//! Unknown members of a request are ignored, everywhere: a client that is newer than the server still works.

mod answer;
mod ask;
mod cancel;
mod chat;
mod create;
mod document;
mod end;
mod heartbeat;
mod join;
mod leave;
mod problems;
mod reactions;
mod revise;
mod rtc_token;
mod start;
#[cfg(test)]
mod tests;
mod tip;
mod validate;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

/// All commands. The paths' parameter is `{id}` everywhere: the queries on the same paths name it alike.
pub(crate) fn router(state: AppState) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(create::create_stream))
        .routes(routes!(revise::revise_stream))
        .routes(routes!(start::start_stream))
        .routes(routes!(end::end_stream))
        .routes(routes!(cancel::cancel_stream))
        .routes(routes!(join::join_stream))
        .routes(routes!(leave::leave_stream))
        .routes(routes!(heartbeat::heartbeat))
        .routes(routes!(rtc_token::renew_rtc_token))
        .routes(routes!(chat::send_message))
        .routes(routes!(reactions::react))
        .routes(routes!(tip::send_tip))
        .with_state(state)
}
