//! The OpenAPI document, the page that shows it, and the JSON Schema of events.
//!
//! The page is our own, a few files that are part of the binary: it needs no internet, and no exception from a strict
//! Content-Security-Policy.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use utoipa::ToSchema;

use crate::http::openapi::document;
use crate::http::problem::ApiError;

/// What the page may do: use its own files and ask this server. Text of the document cannot become a script, since
/// the page makes elements one by one and the browser is told to refuse everything else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// Files of another version are not shown for long.
const FOR_A_MINUTE: &str = "max-age=60";
/// The page itself.
const PAGE: &str = include_str!("../docs/page.html");
/// The JSON Schema of events.
const EVENT_SCHEMA: &str = include_str!("../../../docs/reference/event.schema.json");

/// Name, media type and text of each file of the page.
const FILES: [(&str, &str, &str); 5] = [
    ("page.js", "text/javascript", include_str!("../docs/page.js")),
    ("schema.js", "text/javascript", include_str!("../docs/schema.js")),
    ("call.js", "text/javascript", include_str!("../docs/call.js")),
    ("page.css", "text/css", include_str!("../docs/page.css")),
    ("icon.svg", "image/svg+xml", include_str!("../docs/icon.svg")),
];

/// Files of the page.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document is written from it; the handler looks into the table")]
enum FileName {
    #[schema(rename = "page.js")]
    Page,
    #[schema(rename = "schema.js")]
    Schema,
    #[schema(rename = "call.js")]
    Call,
    #[schema(rename = "page.css")]
    Style,
    #[schema(rename = "icon.svg")]
    Icon,
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "documents",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object, content_type = "application/json"))
)]
pub(in crate::http) async fn openapi() -> HttpResponse {
    file_of("application/json", document())
}

/// The JSON Schema of events.
#[utoipa::path(
    get, path = "/api/v1/schemas/event.json", tag = "events",
    responses((status = 200, description = "JSON Schema 2020-12.", body = Object, content_type = "application/schema+json"))
)]
pub(in crate::http) async fn event_schema() -> HttpResponse {
    file_of("application/schema+json", EVENT_SCHEMA)
}

/// A page that shows this document and lets one try its calls.
#[utoipa::path(
    get, path = "/docs", tag = "documents",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub(in crate::http) async fn page() -> HttpResponse {
    file_of("text/html; charset=utf-8", PAGE)
}

/// A file of the page.
#[utoipa::path(
    get, path = "/docs/{file}", tag = "documents",
    params(("file" = inline(FileName), Path, description = "Its name")),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/javascript"),
            (String = "text/css"),
            (String = "image/svg+xml"),
        )),
        (status = 404, description = "`not_found`."),
    )
)]
pub(in crate::http) async fn file(name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let known = FILES.iter().find(|(file, ..)| *file == name.as_str());
    let (_, kind, text) =
        known.ok_or(ApiError::not_found("not_found", "There is nothing at this address."))?;
    Ok(file_of(kind, text))
}

fn file_of(kind: &str, text: &'static str) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, kind)).insert_header((CACHE_CONTROL, FOR_A_MINUTE));
    response.insert_header((CONTENT_SECURITY_POLICY, POLICY)).body(text)
}
