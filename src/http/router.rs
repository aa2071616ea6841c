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
    register(config);
}

/// Writes the list of routes and the function that registers them from one table.
macro_rules! routes {
    ($($path:literal => { $($method:ident: $handler:expr),+ $(,)? })+) => {
        /// Method and pattern of every route.
        #[cfg(test)]
        pub(super) const ROUTES: &[(&str, &str)] = &[$($((stringify!($method), $path)),+),+];

        fn register(config: &mut ServiceConfig) {
            config$(.service(resource($path)$(.route($method().to($handler)))+))+;
        }
    };
}

routes! {
    "/login" => { post: routes::login_form }
    "/signup" => { post: routes::signup }
    "/password-reset" => { post: routes::request_reset }
    "/password-reset/confirm" => { post: routes::confirm_reset }
    "/live" => { get: routes::live }
    "/ready" => { get: routes::ready }
    "/health" => { get: routes::health }
    "/metrics" => { get: routes::metrics }
    "/openapi.json" => { get: routes::openapi }
    "/docs" => { get: routes::page }
    "/docs/{file}" => { get: routes::file }
    "/api/v1/schemas/event.json" => { get: routes::event_schema }
    "/api/v1/auth/login" => { post: routes::login_json }
    "/api/v1/auth/refresh" => { post: routes::refresh }
    "/api/v1/auth/logout" => { post: routes::logout }
    "/api/v1/auth/oidc/login" => { get: routes::oidc_login }
    "/api/v1/auth/oidc/callback" => { get: routes::oidc_callback }
    "/api/v1/auth/oidc/token" => { post: routes::oidc_token }
    "/api/v1/auth/development" => { post: routes::development_login }
    "/api/v1/me" => { get: routes::me }
    "/api/v1/me/password" => { post: routes::change_password }
    "/ws/analysis" => { get: ws::subscribe }
    "/api/v1/ws-tickets" => { post: routes::create_ticket }
    "/api/v1/streams" => { get: routes::streams, post: routes::create_stream }
    "/api/v1/streams/{name}" => { get: routes::stream, delete: routes::delete_stream }
    "/api/v1/streams/{name}/settings" => { get: routes::stream_settings, put: routes::change_stream }
    "/api/v1/streams/{name}/{order}" => { post: routes::order_stream }
    "/api/v1/sources/test" => { post: routes::test_source }
    "/api/v1/sessions" => { get: routes::sessions }
    "/api/v1/sessions/{id}" => { get: routes::session }
    "/api/v1/events" => { get: routes::events }
    "/api/v1/models" => { get: routes::models }
    "/api/v1/devices" => { get: routes::devices }
    "/api/v1/keys" => { get: routes::keys, post: routes::create_key }
    "/api/v1/keys/{id}" => { delete: routes::revoke_key }
    "/api/v1/users" => { get: routes::users, post: routes::create_user }
    "/api/v1/users/{name}" => { get: routes::user, patch: routes::change_user, delete: routes::delete_user }
    "/api/v1/invitations" => { post: routes::invite }
    "/api/v1/roles" => { get: routes::roles, post: routes::create_role }
    "/api/v1/roles/{name}" => { put: routes::change_role, delete: routes::delete_role }
    "/api/v1/audit" => { get: routes::audit }
}
