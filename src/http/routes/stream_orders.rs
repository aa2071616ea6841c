//! Orders: streams that are started, stopped and restarted, and whether there is room for one that begins.

use actix_web::web;
use actix_web::{HttpResponse, Responder};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::fields;
use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::Name;
use crate::http::ports::Beginning;
use crate::http::problem::ApiError;
use crate::http::visit::Visit;
use crate::store::{ManagedStream, StreamWish};

/// How an order is meant.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Manner {
    /// The stream begins even if it makes others late.
    #[serde(default)]
    pub(super) force: bool,
}

/// What can be asked of a stream.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the document is written from it; the handler reads the word itself")]
enum OrderName {
    Start,
    Stop,
    Restart,
}

/// Starts, stops or restarts a stream.
///
/// A stream of config.toml can be steered too; the next start of the server does what the file says.
#[utoipa::path(
    post, path = "/api/v1/streams/{name}/{order}", tag = "streams", security(("bearer" = ["streams:control"])),
    params(
        ("name" = inline(Name), Path, description = "The stream"),
        ("order" = inline(OrderName), Path, description = "What to do"),
        Manner,
    ),
    responses(
        (status = 202, description = "It is being done."),
        (status = 400, description = "`invalid_name`, `invalid_query`."),
        (status = 404, description = "`stream_not_found`, or `not_found`: there is no such order."),
        (status = 503, description = "`over_capacity`: it would begin, and make others late; or `unavailable`.",
            headers(("retry-after" = u32, description = "Seconds to wait"))),
    )
)]
pub(in crate::http) async fn order_stream(
    app: web::Data<App>,
    visit: Visit,
    caller: Caller,
    path: web::Path<(String, String)>,
    manner: web::Query<Manner>,
) -> Result<impl Responder, ApiError> {
    let (name, order) = path.into_inner();
    let (wish, action) = match order.as_str() {
        "start" => (StreamWish::Start, "stream.start"),
        "stop" => (StreamWish::Stop, "stream.stop"),
        "restart" => (StreamWish::Restart, "stream.restart"),
        _ => return Err(ApiError::not_found("not_found", "There is nothing at this address.")),
    };
    caller.require(Permission::ControlStreams)?;
    find(&app, &caller, &name).await?;
    let begins = !matches!(wish, StreamWish::Stop);
    let beginning = begins.then_some(Beginning { stream: &name, made_of: None, force: manner.force });
    let entry = visit.entry(&caller, action, &name);
    let ordered = app.store.wish_of_stream(&name, wish, Some(entry));
    let order = async { if app.store(ordered).await? { Ok(()) } else { Err(unknown()) } };
    with_room(&app, beginning, order).await?;
    app.ask("streams", app.ports.control.changed(&name)).await?;
    Ok(HttpResponse::Accepted())
}

/// Stores an order, if there is room for the stream that begins by it. One that is not stored takes no room.
///
/// # Errors
/// 503 `over_capacity`, or why it is not stored.
pub(super) async fn with_room(
    app: &App,
    beginning: Option<Beginning<'_>>,
    order: impl Future<Output = Result<(), ApiError>>,
) -> Result<(), ApiError> {
    let Some(beginning) = beginning else { return order.await };
    let take_back = app.ports.control.admit(beginning).map_err(ApiError::over_capacity)?;
    order.await.inspect_err(|_| take_back())
}

/// The stream of this name, if the caller sees it.
///
/// # Errors
/// 400 `invalid_name`, 404 `stream_not_found`.
pub(super) async fn find(app: &App, caller: &Caller, name: &str) -> Result<ManagedStream, ApiError> {
    fields::name(name)?;
    if !caller.sees(name) {
        return Err(unknown());
    }
    app.store(app.store.find_stream(name)).await?.ok_or(unknown())
}

const fn unknown() -> ApiError {
    ApiError::not_found("stream_not_found", "There is no stream of this name.")
}
