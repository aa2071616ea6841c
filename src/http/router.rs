//! Which address is answered by whom.

use actix_web::web::{self, ServiceConfig};

use super::problem;
use super::{routes, ws};

/// Bodies of this server are small; uploads have limits of their own.
const BODY_LIMIT: usize = 16 * 1024;

/// All routes, and the limits of what they read.
pub(super) fn configure(config: &mut ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(BODY_LIMIT))
        .app_data(
            web::JsonConfig::default()
                .limit(BODY_LIMIT)
                .error_handler(|error, _| problem::json_error(&error).into()),
        )
        .app_data(
            web::FormConfig::default()
                .limit(BODY_LIMIT)
                .error_handler(|error, _| problem::form_error(&error).into()),
        )
        .app_data(web::QueryConfig::default().error_handler(|error, _| problem::query_error(&error).into()));
    config
        .service(web::resource("/login").route(web::post().to(routes::login_form)))
        .service(web::resource("/live").route(web::get().to(routes::live)))
        .service(web::resource("/ready").route(web::get().to(routes::ready)))
        .service(web::resource("/health").route(web::get().to(routes::health)))
        .service(web::resource("/metrics").route(web::get().to(routes::metrics)))
        .service(web::resource("/ws/analysis").route(web::get().to(ws::subscribe)))
        .service(web::resource("/api/v1/auth/login").route(web::post().to(routes::login_json)))
        .service(web::resource("/api/v1/streams").route(web::get().to(routes::streams)))
        .service(web::resource("/api/v1/streams/{name}").route(web::get().to(routes::stream)))
        .service(web::resource("/api/v1/sessions").route(web::get().to(routes::sessions)))
        .service(web::resource("/api/v1/sessions/{id}").route(web::get().to(routes::session)));
}
