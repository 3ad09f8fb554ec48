//! The figures over HTTP: what `analytics::figures` computes, for those whom it concerns. One file for each kind of answer.
//!
//! Whoever may read comes from the read models, the figures come from the warehouse. Where that is away these routes answer 503, and no other
//! route asks it.

mod audience;
mod behaviour;
mod content;
mod creator;
mod documents;
mod explain;
mod export;
mod facts;
mod growth;
mod minutes;
mod moment;
mod peak_times;
mod period;
mod platform;
mod popular;
mod refusals;
mod retention;
mod revenue;
mod rights;
mod stream;
mod timeline;
mod warehouse;

use std::sync::Arc;

use ::analytics::figures::Figures;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::read_model::ReadModel;
use warehouse::Warehouse;

/// What the routes work with.
pub(crate) struct Insight {
    read_model: Arc<ReadModel>,
    warehouse: Warehouse,
}

/// All figures with their documentation.
pub(crate) fn router(read_model: Arc<ReadModel>, figures: Option<Figures>) -> OpenApiRouter {
    let warehouse = Warehouse::new(figures, Arc::clone(&read_model.positions));
    OpenApiRouter::new()
        .routes(routes!(stream::get))
        .routes(routes!(timeline::get))
        .routes(routes!(retention::get))
        .routes(routes!(audience::of_stream))
        .routes(routes!(revenue::of_stream))
        .routes(routes!(facts::of_stream))
        .routes(routes!(creator::get))
        .routes(routes!(revenue::of_creator))
        .routes(routes!(audience::of_creator))
        .routes(routes!(growth::get))
        .routes(routes!(peak_times::of_creator))
        .routes(routes!(content::get))
        .routes(routes!(facts::of_creator))
        .routes(routes!(platform::get))
        .routes(routes!(popular::get))
        .routes(routes!(peak_times::of_platform))
        .routes(routes!(revenue::of_platform))
        .routes(routes!(behaviour::get))
        .routes(routes!(explain::list))
        .routes(routes!(explain::get))
        .with_state(Arc::new(Insight { read_model, warehouse }))
}
