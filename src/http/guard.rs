//! What stands in front of every handler: rate limits, pages of other addresses (CORS), and the time that a body
//! may take.
//!
//! Callers are told apart by their address; a network of version 6 that one customer has (/64) is one caller.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap,
    HeaderValue, RETRY_AFTER, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::rt::time::{Instant, timeout};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};
use futures_util::{StreamExt, stream};
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::app::App;
use super::problem::ApiError;
use super::visit::address;
use super::ws::{is_allowed, origin};

/// Callers that are remembered; when there are more, those who have their whole allowance again are forgotten.
const MOST_CALLERS: usize = 10_000;
/// Addresses whose requests cost much: they hash a password, send mail or open a source.
const HEAVY: [&str; 9] = [
    "/login",
    "/signup",
    "/password-reset",
    "/password-reset/confirm",
    "/api/v1/auth/login",
    "/api/v1/auth/oidc/token",
    "/api/v1/auth/development",
    "/api/v1/me/password",
    "/api/v1/sources/test",
];
/// The one that is read: each visit asks the identity provider.
const HEAVY_TO_READ: &str = "/api/v1/auth/oidc/callback";
/// What programs that look after the server ask again and again.
const FREE: [&str; 3] = ["/live", "/ready", "/metrics"];

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// Allowances, a minute each.
pub(super) struct Limits {
    usual: Limiter,
    heavy: Limiter,
}

impl Limits {
    /// So many requests of one caller a minute.
    pub(super) fn new(usual: NonZeroU32, heavy: NonZeroU32) -> Self {
        let limiter = |count| RateLimiter::hashmap(Quota::per_minute(count));
        Self { usual: limiter(usual), heavy: limiter(heavy) }
    }

    /// The time to wait, if a request is too much. `path` and `query` are taken as the router and the handler read
    /// them, so that no spelling of an expensive route is a cheap one.
    fn take(&self, caller: IpAddr, method: &Method, path: &str, query: &str) -> Option<Duration> {
        if FREE.contains(&path) {
            return None;
        }
        let export = path == "/api/v1/events" && asks_for_export(query);
        let heavy = export || path == HEAVY_TO_READ || (method == Method::POST && HEAVY.contains(&path));
        let limiter = if heavy { &self.heavy } else { &self.usual };
        if limiter.len() > MOST_CALLERS {
            limiter.retain_recent();
        }
        let refused = limiter.check_key(&network(caller)).err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()))
    }
}

/// The middleware.
pub(super) async fn guard(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(app) = request.app_data::<web::Data<App>>().cloned() else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let page = origin(request.request()).filter(|origin| is_allowed(&app, request.request(), origin));
    let page = page.and_then(|origin| HeaderValue::from_str(origin).ok());
    if let Some(wait) = too_much(&app, &request) {
        let mut response = too_many().error_response();
        // Rounded up: who comes back in that time is let in.
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        return Ok(request.into_response(response));
    }
    let asks_first =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if let (true, Some(_)) = (asks_first, &page) {
        request.into_response(permission())
    } else {
        limit_body(&mut request, app.body_timeout);
        next.call(request).await?.map_into_boxed_body()
    };
    if let Some(page) = page {
        allow(response.headers_mut(), page);
    }
    Ok(response)
}

fn too_much(app: &App, request: &ServiceRequest) -> Option<Duration> {
    let caller = address(app, request.request())?;
    app.limits.take(caller, request.method(), request.match_info().as_str(), request.query_string())
}

fn asks_for_export(query: &str) -> bool {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query);
    pairs.map_or(true, |pairs| pairs.iter().any(|(name, value)| name == "format" && value != "json"))
}

const fn too_many() -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Wait before you ask again.")
}

/// The answer to a browser that asks whether it may ask.
fn permission() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"))
        .insert_header((
            ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type, idempotency-key, if-match, x-request-id",
        ))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

/// No credentials: tokens are sent by programs on purpose, and the one cookie, of a sign-in, never crosses origins.
fn allow(headers: &mut HeaderMap, page: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.append(VARY, HeaderValue::from_static("origin"));
    let exposed = HeaderValue::from_static("etag, idempotency-replayed, retry-after, x-request-id");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// A body has to be there within `limit`, however slowly it comes.
fn limit_body(request: &mut ServiceRequest, limit: Duration) {
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return;
    }
    let deadline = Instant::now() + limit;
    let payload = request.take_payload();
    let bounded = stream::unfold(Some(payload), move |payload| async move {
        let mut payload = payload?;
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, payload.next()).await {
            Ok(chunk) => chunk.map(|chunk| (chunk, Some(payload))),
            Err(_) => Some((Err(PayloadError::Io(std::io::ErrorKind::TimedOut.into())), None)),
        }
    });
    request.set_payload(Payload::Stream { payload: Box::pin(bounded) });
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_and_each_caller_has_an_allowance_of_its_own() {
        let few = |count| NonZeroU32::new(count).unwrap();
        let limits = Limits::new(few(3), few(1));
        let (one, two): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let take = |caller, method: &Method, path| limits.take(caller, method, path, "").is_none();
        assert!(take(one, &Method::POST, "/login") && !take(one, &Method::POST, "/login"));
        assert!(take(two, &Method::POST, "/login"), "another caller has its own");
        for allowed in [true, true, true, false] {
            assert_eq!(take(one, &Method::GET, "/api/v1/streams"), allowed);
        }
        assert!((0..100).all(|_| take(one, &Method::GET, "/ready")));
        let wait = limits.take(one, &Method::POST, "/login", "").unwrap();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60));
        assert!(
            limits.take(two, &Method::GET, "/api/v1/events", "format=csv").is_some(),
            "an export is heavy"
        );
    }

    #[test]
    fn a_customers_network_of_version_6_is_one_caller() {
        let parse = |text: &str| network(text.parse().unwrap());
        assert_eq!(parse("2001:db8:1:2:3::4"), parse("2001:db8:1:2:ffff::1"));
        assert_ne!(parse("2001:db8:1:2::1"), parse("2001:db8:1:3::1"));
    }
}
