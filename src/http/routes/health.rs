//! How the server is: for people (`/health`), for service managers (`/live`, `/ready`), for Prometheus.

use std::time::{Duration, Instant};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::rt::time::timeout;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::ports::{HealthCheck, HttpEvent};
use crate::http::problem::ApiError;

/// Requirement E9.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// The address is public: however often it is asked, components are asked once in this time.
const FRESH: Duration = Duration::from_secs(1);

/// What was found last. Whoever asks while a look is being taken waits for its result.
#[derive(Default)]
pub(in crate::http) struct HealthCache(Mutex<Option<(Instant, Vec<Component>)>>);

/// A component as a keeper sees it.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Component {
    name: &'static str,
    /// `up`, `down`, or `timeout` after five seconds.
    #[schema(pattern = "^(up|down|timeout)$")]
    state: &'static str,
    response_time_ms: f64,
    #[serde(skip)]
    needed: bool,
}

/// The answer; components only for those who may see them.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `healthy`, or `degraded` if a component is not up.
    #[schema(pattern = "^(healthy|degraded)$")]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    components: Option<Vec<Component>>,
}

/// A state in a word.
#[derive(Serialize, ToSchema)]
struct Word {
    status: &'static str,
}

/// How the server is.
///
/// Always 200: a degraded server still serves, and `/ready` is what a balancer asks. Components are told to those who
/// may see them.
#[utoipa::path(
    get, path = "/health", tag = "state", security((), ("bearer" = ["health"])), responses((status = 200, body = Health))
)]
pub(in crate::http) async fn health(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    let components = look(&app).await;
    let well = components.iter().all(Component::is_up);
    let keeper = Caller::of(&app, &request).await.is_ok_and(|caller| caller.may(Permission::ReadHealth));
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Health {
        status: if well { "healthy" } else { "degraded" },
        components: keeper.then_some(components),
    })
}

/// The process answers.
#[utoipa::path(
    get, path = "/live", tag = "state", responses((status = 200, body = Word, example = json!({"status": "live"})))
)]
pub(in crate::http) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Word { status: "live" })
}

/// Everything that is needed to serve is there.
#[utoipa::path(
    get, path = "/ready", tag = "state",
    responses(
        (status = 200, body = Word, example = json!({"status": "ready"})),
        (status = 503, description = "`unavailable`: it starts, stops, or a needed component is away."),
    )
)]
pub(in crate::http) async fn ready(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let needed = look(&app).await.iter().all(|component| component.is_up() || !component.needed);
    if app.is_ready() && needed {
        return Ok(HttpResponse::Ok().json(Word { status: "ready" }));
    }
    Err(ApiError::unavailable())
}

/// Numbers for Prometheus.
///
/// For everybody, or with `http.metrics = "operators"` for those who may see how the server is.
#[utoipa::path(
    get, path = "/metrics", tag = "state", security((), ("bearer" = ["health"])),
    responses(
        (status = 200, description = "Prometheus' text format.", body = String, content_type = "text/plain"),
        (status = 401, description = "`token_missing`, `token_expired`, `token_invalid` or `token_revoked`."),
        (status = 403, description = "`forbidden`."),
        (status = 503, description = "`unavailable`."),
    )
)]
pub(in crate::http) async fn metrics(
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    if !app.open_metrics {
        Caller::of(&app, &request).await?.require(Permission::ReadHealth)?;
    }
    let text = app.metrics.text().map_err(|error| {
        let error = error.to_string();
        app.ports.observer.notice(HttpEvent::ComponentUnavailable { component: "metrics", error: &error });
        ApiError::unavailable()
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(text))
}

impl Component {
    fn is_up(&self) -> bool {
        self.state == "up"
    }
}

async fn look(app: &App) -> Vec<Component> {
    let mut last = app.health.0.lock().await;
    if let Some((at, components)) = &*last
        && at.elapsed() < FRESH
    {
        return components.clone();
    }
    let components = join_all(app.ports.checks.iter().map(|check| check_one(check.as_ref()))).await;
    *last = Some((Instant::now(), components.clone()));
    components
}

async fn check_one(check: &dyn HealthCheck) -> Component {
    let started = Instant::now();
    let state = match timeout(CHECK_TIMEOUT, check.check()).await {
        Ok(Ok(())) => "up",
        Ok(Err(_)) => "down",
        Err(_) => "timeout",
    };
    let response_time_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    Component { name: check.name(), state, response_time_ms, needed: check.needed_for_ready() }
}
