//! The API's documents: OpenAPI made from the handlers, and a page to browse it.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use platform::http::json::json;
use reqwest::StatusCode;
use std::sync::Arc;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

/// Serves `/openapi.json` and `/docs`.
pub(crate) fn router(document: OpenApi) -> Router {
    let document = described(document);
    let served = Arc::new(document.clone());
    let openapi = get(move || async move { json(StatusCode::OK, served.as_ref()).into_response() });
    Router::new()
        .route("/openapi.json", openapi)
        .merge(SwaggerUi::new("/docs").url("/docs/openapi.json", document))
}

/// The document of the API: its title, its version, and how to be let in.
fn described(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Tally")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("The backend of a live-streaming service: shows, audiences, chat, tips. Errors are problem documents with a stable code."))
        .build();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    document.components = Some(
        ComponentsBuilder::from(components).security_scheme("bearer", SecurityScheme::Http(bearer)).build(),
    );
    document
}
