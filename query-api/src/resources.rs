//! Queries: one file a resource, its SQL beside it.

mod access;
mod chat;
mod document;
mod leaderboard;
mod stream;
mod streams;
mod tips;
mod viewers;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::read_model::ReadModel;

/// All queries with their documentation.
pub(crate) fn router(read_model: Arc<ReadModel>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(streams::list))
        .routes(routes!(stream::get))
        .routes(routes!(viewers::list))
        .routes(routes!(chat::list))
        .routes(routes!(tips::list))
        .routes(routes!(leaderboard::list))
        .routes(routes!(access::get))
        .with_state(read_model)
}
