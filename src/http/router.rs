//! Which address is answered by whom.

use actix_web::web::{self, ServiceConfig, delete, get, patch, post, put, resource};

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
    entrance(config);
    watching(config);
    administration(config);
}

/// Logging in, one's own account, and how the server is.
fn entrance(config: &mut ServiceConfig) {
    config
        .service(resource("/login").route(post().to(routes::login_form)))
        .service(resource("/signup").route(post().to(routes::signup)))
        .service(resource("/password-reset").route(post().to(routes::request_reset)))
        .service(resource("/password-reset/confirm").route(post().to(routes::confirm_reset)))
        .service(resource("/live").route(get().to(routes::live)))
        .service(resource("/ready").route(get().to(routes::ready)))
        .service(resource("/health").route(get().to(routes::health)))
        .service(resource("/metrics").route(get().to(routes::metrics)))
        .service(resource("/api/v1/auth/login").route(post().to(routes::login_json)))
        .service(resource("/api/v1/auth/refresh").route(post().to(routes::refresh)))
        .service(resource("/api/v1/auth/logout").route(post().to(routes::logout)))
        .service(resource("/api/v1/me").route(get().to(routes::me)))
        .service(resource("/api/v1/me/password").route(post().to(routes::change_password)));
}

/// Streams, sessions and events, to see.
fn watching(config: &mut ServiceConfig) {
    config
        .service(resource("/ws/analysis").route(get().to(ws::subscribe)))
        .service(resource("/api/v1/ws-tickets").route(post().to(routes::create_ticket)))
        .service(resource("/api/v1/streams").route(get().to(routes::streams)))
        .service(resource("/api/v1/streams/{name}").route(get().to(routes::stream)))
        .service(resource("/api/v1/sessions").route(get().to(routes::sessions)))
        .service(resource("/api/v1/sessions/{id}").route(get().to(routes::session)))
        .service(resource("/api/v1/events").route(get().to(routes::events)));
}

/// Users, roles and keys, and who changed what.
fn administration(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v1/keys").route(get().to(routes::keys)).route(post().to(routes::create_key)))
        .service(resource("/api/v1/keys/{id}").route(delete().to(routes::revoke_key)))
        .service(
            resource("/api/v1/users").route(get().to(routes::users)).route(post().to(routes::create_user)),
        )
        .service(
            resource("/api/v1/users/{name}")
                .route(get().to(routes::user))
                .route(patch().to(routes::change_user))
                .route(delete().to(routes::delete_user)),
        )
        .service(resource("/api/v1/invitations").route(post().to(routes::invite)))
        .service(
            resource("/api/v1/roles").route(get().to(routes::roles)).route(post().to(routes::create_role)),
        )
        .service(
            resource("/api/v1/roles/{name}")
                .route(put().to(routes::change_role))
                .route(delete().to(routes::delete_role)),
        )
        .service(resource("/api/v1/audit").route(get().to(routes::audit)));
}
