//! What every question about a show, a creator or the platform may be refused with, for the API's document.

use std::collections::BTreeMap;

use platform::http::problem::Problem;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// A question about a show.
pub(super) struct ForShow;

/// A question about a creator's shows.
pub(super) struct ForCreator;

/// A question about all shows.
pub(super) struct ForPlatform;

type Refusals = BTreeMap<String, RefOr<Response>>;

impl IntoResponses for ForShow {
    fn responses() -> Refusals {
        refusals("Only for the stream's creator and administrators", true)
    }
}

impl IntoResponses for ForCreator {
    fn responses() -> Refusals {
        refusals("Only for the creator and administrators", true)
    }
}

impl IntoResponses for ForPlatform {
    fn responses() -> Refusals {
        refusals("Only for administrators", false)
    }
}

fn refusals(whom: &str, may_be_unknown: bool) -> Refusals {
    let told = [
        (403, whom),
        (404, "Unknown"),
        (422, "A parameter that is none"),
        (503, "The warehouse is away, overloaded, still loading, or not that far"),
    ];
    let told = told.into_iter().filter(|(status, _)| *status != 404 || may_be_unknown);
    told.map(|(status, why)| (status.to_string(), problem(why))).collect()
}

fn problem(why: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(why).content("application/problem+json", content).build().into()
}
