//! The OpenAPI document: every route with its parameters, bodies and statuses, written from the code.
//!
//! What is said of one route stands in an annotation on its handler, and its types derive their schemas. What is
//! true of all routes of a kind is added by [`complete`], so that no annotation can forget it. A test compares the
//! document with the router's table, another one with `docs/reference/openapi.json`.

mod complete;
pub(super) mod schemas;

use std::sync::LazyLock;

use serde_json::Value;
use utoipa::OpenApi;

use super::problem::Problem;
use super::routes::{account, audit, development, docs, events, health, keys, login, machine, oidc};
use super::routes::{roles, sources, stream_edit, stream_orders, streams, tickets, users};
use super::ws;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kinora",
        description = "Watches video and tells agents what happens, frame by frame.\n\n\
            Everything below `/api/v1` wants a bearer token, but logging in and refreshing. Every answer carries the \
            request's id in the header `x-request-id`; errors are problems of RFC 9457 with a stable `code`. Events \
            come over the WebSocket `/ws/analysis`; their JSON Schema is at `/api/v1/schemas/event.json`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "streams", description = "What is watched, and how it goes"),
        (name = "events", description = "What was seen: stored, and live over WebSocket"),
        (name = "login", description = "Tokens, and one's own account"),
        (name = "keys", description = "Keys of agents: they watch only"),
        (name = "users", description = "Users, invitations, roles, and who changed what"),
        (name = "machine", description = "Networks that are loaded, devices that run them"),
        (name = "state", description = "How the server is"),
        (name = "documents", description = "This document and its page"),
    ),
    components(schemas(Problem, schemas::EventName)),
    paths(
        account::change_password,
        account::confirm_reset,
        account::me,
        account::request_reset,
        account::signup,
        audit::audit,
        development::development_login,
        docs::event_schema,
        docs::file,
        docs::openapi,
        docs::page,
        events::events,
        health::health,
        health::live,
        health::metrics,
        health::ready,
        keys::create_key,
        keys::keys,
        keys::revoke_key,
        login::login_form,
        login::login_json,
        login::logout,
        login::refresh,
        machine::devices,
        machine::models,
        oidc::oidc_callback,
        oidc::oidc_login,
        oidc::oidc_token,
        roles::change_role,
        roles::create_role,
        roles::delete_role,
        roles::roles,
        stream_edit::change_stream,
        stream_edit::create_stream,
        stream_edit::delete_stream,
        stream_orders::order_stream,
        stream_edit::stream_settings,
        sources::test_source,
        streams::session,
        streams::sessions,
        streams::stream,
        streams::streams,
        tickets::create_ticket,
        users::change_user,
        users::create_user,
        users::delete_user,
        users::invite,
        users::user,
        users::users,
        ws::subscribe,
    )
)]
struct Annotations;

/// The document, as it is served and as it lies in `docs/reference/openapi.json`.
pub(crate) fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut document =
            serde_json::to_value(Annotations::openapi()).expect("it should have only string keys");
        complete::complete(&mut document);
        sorted(&document) + "\n"
    });
    &DOCUMENT
}

/// The document as text whose members are in the order of the alphabet, whatever features serde_json was built with.
fn sorted(document: &Value) -> String {
    fn in_order(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut names: Vec<&String> = members.keys().collect();
                names.sort_unstable();
                names.into_iter().map(|name| (name.clone(), in_order(&members[name]))).collect()
            }
            Value::Array(list) => list.iter().map(in_order).collect(),
            other => other.clone(),
        }
    }
    serde_json::to_string_pretty(&in_order(document)).expect("it should have only string keys")
}
