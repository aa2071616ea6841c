//! What every answer gets: a request id, the security headers, and a problem as the body of an error.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use uuid::Uuid;

use super::app::App;
use super::ports::HttpEvent;
use super::problem::{self, ApiError};
use super::visit::RequestId;

/// The header that carries the request's id in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Ids from outside are cut off here: they go into logs.
const REQUEST_ID_CHARS: usize = 64;

/// Requirement E8. Answers of an API are never rendered, so nothing at all may be loaded by them; a page that
/// needs more sets a policy of its own.
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"),
    (REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
];

tokio::task_local! {
    /// The id of the request that is being answered.
    static CURRENT: String;
}

/// The id of the request that is being answered by this task, if it is one.
pub(crate) fn current_request_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Calls a method that nobody knows by one name: methods are labels of metrics, which have to be bounded.
pub(super) async fn name_method(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !METHODS.contains(request.method()) {
        request.head_mut().method = unknown_method();
    }
    next.call(request).await
}

/// Those of RFC 9110 and RFC 5789.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::CONNECT,
    Method::OPTIONS,
    Method::TRACE,
    Method::PATCH,
];

fn unknown_method() -> Method {
    Method::from_bytes(b"UNKNOWN").unwrap_or(Method::TRACE)
}

/// The middleware.
pub(super) async fn dress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = CURRENT.scope(id.clone(), next.call(request)).await?.map_into_boxed_body();
    tell(&response, &id, started);
    if response.status().is_client_error() || response.status().is_server_error() {
        response = with_problem(response, &id);
    }
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// The caller's own id if it is short and plain, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=REQUEST_ID_CHARS).contains(&id.len()) && id.chars().all(plain))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn with_problem(mut response: ServiceResponse, id: &str) -> ServiceResponse {
    let error = response.response_mut().extensions_mut().remove::<ApiError>();
    let (media_type, body) = problem::render(error, response.status(), id);
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response.map_body(|_, _| BoxBody::new(body))
}

fn tell(response: &ServiceResponse, id: &str, started: Instant) {
    let request = response.request();
    let Some(app) = request.app_data::<web::Data<App>>() else {
        return;
    };
    app.ports.observer.notice(HttpEvent::RequestAnswered {
        request_id: id,
        method: request.method().as_str(),
        endpoint: request.match_pattern().as_deref().unwrap_or("unmatched"),
        status: response.status().as_u16(),
        elapsed_us: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
    });
}
