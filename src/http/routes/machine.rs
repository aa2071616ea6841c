//! What does the work: the networks that are loaded, and the devices that run them.

use actix_web::web::{self, Json};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::ports::{DeviceStatus, ModelStatus};
use crate::http::problem::ApiError;

/// The networks that are loaded.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ModelList {
    models: Vec<ModelStatus>,
}

/// The devices that run them.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DeviceList {
    devices: Vec<DeviceStatus>,
}

/// The networks that are loaded.
#[utoipa::path(
    get, path = "/api/v1/models", tag = "machine", security(("bearer" = ["watch"])),
    responses((status = 200, body = ModelList))
)]
pub(in crate::http) async fn models(
    app: web::Data<App>,
    caller: Caller,
) -> Result<Json<ModelList>, ApiError> {
    caller.require(Permission::Watch)?;
    Ok(Json(ModelList { models: app.ports.machine.models() }))
}

/// The devices that run them, and how many streams each of their lanes has.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "machine", security(("bearer" = ["health"])),
    responses((status = 200, body = DeviceList))
)]
pub(in crate::http) async fn devices(
    app: web::Data<App>,
    caller: Caller,
) -> Result<Json<DeviceList>, ApiError> {
    caller.require(Permission::ReadHealth)?;
    Ok(Json(DeviceList { devices: app.ports.machine.devices() }))
}
