//! Every route, asked by each role, by a key and by nobody: the exact status of each.

use serde_json::{Value, json};

use super::client::http;
use super::fakes::{Fixture, SOURCE};
use crate::accounts::{AgentKey, KeyScope};
use crate::http::Signup;
use crate::http::router::ROUTES;
use crate::store::NewKey;

/// Statuses for nobody, an agent's key, viewer, operator and administrator.
type Expected = [u16; 5];

/// Everybody may.
const fn open(status: u16) -> Expected {
    [status; 5]
}

/// Whoever watches.
const fn watchers(status: u16) -> Expected {
    [401, status, status, status, status]
}

/// Whoever looks after streams.
const fn keepers(status: u16) -> Expected {
    [401, 403, 403, status, status]
}

/// Administrators.
const fn admins(status: u16) -> Expected {
    [401, 403, 403, 403, status]
}

/// Method, pattern, address, body, statuses. What is asked for does mostly not exist, so that the order of callers
/// does not matter; whether a caller may is decided first.
fn table() -> Vec<(&'static str, &'static str, &'static str, Value, Expected)> {
    let none = Value::Null;
    let options = json!({"loop": false, "tracking": true, "everyNth": 1, "maxFps": 0, "readMarks": false});
    let change = json!({"source": SOURCE, "enabled": true, "roles": [], "options": options});
    let credentials = json!({"username": "nobody", "password": "wrong"});
    let passwords = json!({"current_password": "wrong", "new_password": "long enough"});
    vec![
        ("GET", "/live", "/live", none.clone(), open(200)),
        ("GET", "/ready", "/ready", none.clone(), open(200)),
        ("GET", "/health", "/health", none.clone(), open(200)),
        ("GET", "/metrics", "/metrics", none.clone(), open(200)),
        ("GET", "/openapi.json", "/openapi.json", none.clone(), open(200)),
        ("GET", "/docs", "/docs", none.clone(), open(200)),
        ("GET", "/docs/{file}", "/docs/page.js", none.clone(), open(200)),
        ("GET", "/api/v1/schemas/event.json", "/api/v1/schemas/event.json", none.clone(), open(200)),
        ("GET", "/api/v1/models", "/api/v1/models", none.clone(), watchers(200)),
        ("GET", "/api/v1/devices", "/api/v1/devices", none.clone(), keepers(200)),
        ("POST", "/login", "/login", none.clone(), open(415)),
        ("POST", "/signup", "/signup", json!({"username": "x", "password": "long enough"}), open(403)),
        ("POST", "/password-reset", "/password-reset", json!({"email": "x@example.org"}), open(202)),
        (
            "POST",
            "/password-reset/confirm",
            "/password-reset/confirm",
            json!({"token": "x", "password": "long enough"}),
            open(400),
        ),
        ("POST", "/api/v1/auth/login", "/api/v1/auth/login", credentials, open(401)),
        ("POST", "/api/v1/auth/refresh", "/api/v1/auth/refresh", json!({"refresh_token": "x"}), open(401)),
        ("POST", "/api/v1/auth/logout", "/api/v1/auth/logout", none.clone(), watchers(204)),
        ("GET", "/api/v1/auth/oidc/login", "/api/v1/auth/oidc/login", none.clone(), open(404)),
        ("GET", "/api/v1/auth/oidc/callback", "/api/v1/auth/oidc/callback", none.clone(), open(404)),
        (
            "POST",
            "/api/v1/auth/oidc/token",
            "/api/v1/auth/oidc/token",
            json!({"code": "x", "code_verifier": "x"}),
            open(404),
        ),
        ("POST", "/api/v1/auth/development", "/api/v1/auth/development", json!({"role": "admin"}), open(404)),
        ("GET", "/api/v1/me", "/api/v1/me", none.clone(), watchers(200)),
        ("POST", "/api/v1/me/password", "/api/v1/me/password", passwords, [401, 403, 400, 400, 400]),
        ("GET", "/ws/analysis", "/ws/analysis", none.clone(), open(400)),
        ("POST", "/api/v1/ws-tickets", "/api/v1/ws-tickets", json!({}), watchers(201)),
        ("GET", "/api/v1/streams", "/api/v1/streams", none.clone(), watchers(200)),
        ("GET", "/api/v1/streams/{name}", "/api/v1/streams/cam", none.clone(), watchers(200)),
        ("GET", "/api/v1/sessions", "/api/v1/sessions", none.clone(), watchers(200)),
        ("GET", "/api/v1/sessions/{id}", "/api/v1/sessions/nope", none.clone(), watchers(404)),
        ("GET", "/api/v1/events", "/api/v1/events", none.clone(), watchers(200)),
        (
            "POST",
            "/api/v1/streams",
            "/api/v1/streams",
            json!({"name": "a b", "source": SOURCE}),
            keepers(400),
        ),
        ("DELETE", "/api/v1/streams/{name}", "/api/v1/streams/nope", none.clone(), keepers(404)),
        (
            "GET",
            "/api/v1/streams/{name}/settings",
            "/api/v1/streams/nope/settings",
            none.clone(),
            keepers(404),
        ),
        ("PUT", "/api/v1/streams/{name}/settings", "/api/v1/streams/nope/settings", change, keepers(404)),
        ("POST", "/api/v1/streams/{name}/{order}", "/api/v1/streams/nope/start", none.clone(), keepers(404)),
        ("POST", "/api/v1/sources/test", "/api/v1/sources/test", json!({"source": SOURCE}), keepers(200)),
        ("GET", "/api/v1/keys", "/api/v1/keys", none.clone(), keepers(200)),
        ("POST", "/api/v1/keys", "/api/v1/keys", json!({"name": ""}), keepers(400)),
        ("DELETE", "/api/v1/keys/{id}", "/api/v1/keys/nope", none.clone(), keepers(404)),
        ("GET", "/api/v1/users", "/api/v1/users", none.clone(), admins(200)),
        (
            "POST",
            "/api/v1/users",
            "/api/v1/users",
            json!({"username": "a b", "password": "long enough", "roles": []}),
            admins(400),
        ),
        ("GET", "/api/v1/users/{name}", "/api/v1/users/nope", none.clone(), admins(404)),
        ("PATCH", "/api/v1/users/{name}", "/api/v1/users/nope", json!({}), admins(404)),
        ("DELETE", "/api/v1/users/{name}", "/api/v1/users/nope", none.clone(), admins(404)),
        ("POST", "/api/v1/invitations", "/api/v1/invitations", json!({"roles": ["viewer"]}), admins(201)),
        ("GET", "/api/v1/roles", "/api/v1/roles", none.clone(), admins(200)),
        ("POST", "/api/v1/roles", "/api/v1/roles", json!({"name": "a b", "permissions": []}), admins(400)),
        ("PUT", "/api/v1/roles/{name}", "/api/v1/roles/nope", json!({"permissions": []}), admins(404)),
        ("DELETE", "/api/v1/roles/{name}", "/api/v1/roles/nope", none.clone(), admins(404)),
        ("GET", "/api/v1/audit", "/api/v1/audit", none, admins(200)),
    ]
}

#[actix_web::test]
async fn each_route_answers_each_caller_as_it_should() {
    let fixture = Fixture::with_signup(Signup::Invite);
    for (name, role) in [("vera", "viewer"), ("olga", "operator"), ("root", "admin")] {
        fixture.user(name, &[role]).await;
    }
    let key = AgentKey::new().unwrap();
    let scope = KeyScope::default();
    let row = NewKey { id: key.id, name: "k".into(), hash: key.hash, owner: "root".into(), scope };
    fixture.app.store.create_key(row, None).await.unwrap();
    let tokens = [
        None,
        Some(key.text),
        Some(fixture.token_of("vera").await),
        Some(fixture.token_of("olga").await),
        Some(fixture.token_of("root").await),
    ];
    let mut wrong = Vec::new();
    for (caller, token) in tokens.iter().enumerate() {
        for (method, _, path, body, expected) in table() {
            let bearer = token.as_ref().map(|token| format!("authorization: Bearer {token}"));
            let mut headers: Vec<&str> = bearer.iter().map(String::as_str).collect();
            // Each caller comes from an address of their own, so that no allowance is used up.
            let from = format!("x-forwarded-for: 198.51.100.{}", caller + 1);
            headers.push(&from);
            let body = if body.is_null() { String::new() } else { body.to_string() };
            if !body.is_empty() {
                headers.push("content-type: application/json");
            }
            let reply = http(fixture.address, method, path, &headers, &body).await;
            if reply.status != expected[caller] {
                wrong.push(format!("{method} {path} by caller {caller}: {} {}", reply.status, reply.body));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_names_every_route() {
    let asked: Vec<(String, &str)> = table().iter().map(|row| (row.0.to_lowercase(), row.1)).collect();
    let is_asked =
        |(method, path): &&(&str, &str)| asked.iter().any(|row| row.0 == *method && row.1 == *path);
    let missing: Vec<_> = ROUTES.iter().filter(|route| !is_asked(route)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(asked.len(), ROUTES.len());
}
