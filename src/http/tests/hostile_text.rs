//! SQL, NULs and other hostile text in every string that a body has: an error of the caller's, and nothing happens.

use serde_json::{Value, json};

use super::client::http;
use super::fakes::{Fixture, SOURCE};
use crate::http::Signup;

/// What strangers write into fields.
const HOSTILE: [&str; 6] = [
    "'; drop table users; --",
    "' or '1'='1",
    "\" union select password from users --",
    "a\0b",
    "$$; delete from roles; $$",
    "\\'; truncate audit_log; --",
];

/// Method, address and a body whose every string is replaced in turn.
fn bodies() -> Vec<(&'static str, &'static str, Value)> {
    let options = json!({"loop": false, "tracking": true, "everyNth": 1, "maxFps": 0, "readMarks": false});
    vec![
        (
            "POST",
            "/signup",
            json!({"username": "x", "email": "x@example.net", "password": "long enough", "invitation": "x"}),
        ),
        ("POST", "/password-reset", json!({"email": "x@example.net"})),
        ("POST", "/password-reset/confirm", json!({"token": "x", "password": "long enough"})),
        ("POST", "/api/v1/auth/login", json!({"username": "x", "password": "x"})),
        ("POST", "/api/v1/auth/refresh", json!({"refresh_token": "x"})),
        ("POST", "/api/v1/auth/oidc/token", json!({"code": "x", "code_verifier": "x"})),
        ("POST", "/api/v1/me/password", json!({"current_password": "x", "new_password": "long enough"})),
        ("POST", "/api/v1/ws-tickets", json!({"stream": ["x"], "session": ["x"], "events": ["x"]})),
        (
            "POST",
            "/api/v1/streams",
            json!({"name": "x", "source": SOURCE, "roles": ["viewer"], "options": options}),
        ),
        (
            "PUT",
            "/api/v1/streams/x/settings",
            json!({"source": SOURCE, "enabled": true, "roles": ["viewer"], "options": options}),
        ),
        ("POST", "/api/v1/sources/test", json!({"source": SOURCE})),
        (
            "POST",
            "/api/v1/keys",
            json!({"name": "x", "streams": ["x"], "events": ["frameAnalyzed"], "owner": "root"}),
        ),
        (
            "POST",
            "/api/v1/users",
            json!({"username": "y", "email": "y@example.net", "password": "long enough", "roles": ["viewer"]}),
        ),
        ("PATCH", "/api/v1/users/root", json!({"email": "root@example.net", "roles": ["admin"]})),
        ("POST", "/api/v1/invitations", json!({"roles": ["viewer"], "email": "z@example.net"})),
        ("POST", "/api/v1/roles", json!({"name": "night", "permissions": ["watch"]})),
        ("PUT", "/api/v1/roles/night", json!({"permissions": ["watch"]})),
    ]
}

/// The body once for each of its strings, with hostile text in its place.
fn spoiled(body: &Value, text: &str) -> Vec<Value> {
    match body {
        Value::String(_) => vec![Value::String(text.to_owned())],
        Value::Array(list) => {
            let place = |(at, inner): (usize, &Value)| {
                spoiled(inner, text).into_iter().map(move |inner| (at, inner)).collect::<Vec<_>>()
            };
            let with = |(at, inner)| {
                let mut list = list.clone();
                list[at] = inner;
                Value::Array(list)
            };
            list.iter().enumerate().flat_map(place).map(with).collect()
        }
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, inner)| {
                spoiled(inner, text).into_iter().map(move |inner| (name.clone(), inner))
            })
            .map(|(name, inner)| {
                let mut members = members.clone();
                members.insert(name, inner);
                Value::Object(members)
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[actix_web::test]
async fn hostile_text_in_any_field_is_the_callers_error_and_harms_nothing() {
    let fixture = Fixture::with_signup(Signup::Open);
    fixture.user("root", &["admin"]).await;
    let bearer = format!("authorization: Bearer {}", fixture.token_of("root").await);
    let (mut sent, mut wrong) = (0, Vec::new());
    for text in HOSTILE {
        for (method, path, body) in bodies() {
            for body in spoiled(&body, text) {
                sent += 1;
                // Each from an address of its own, so that no allowance is used up.
                let from = format!("x-forwarded-for: 198.51.{}.{}", sent / 250, sent % 250);
                let headers = [&*bearer, &from, "content-type: application/json"];
                let reply = http(fixture.address, method, path, &headers, &body.to_string()).await;
                if reply.status >= 500 || reply.body.contains("SQL") || reply.body.contains("syntax") {
                    wrong.push(format!("{method} {path} {body}: {} {}", reply.status, reply.body));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sent > 200, "{sent} bodies were tried");
    let root = fixture.app.store.find_user("root").await.unwrap().unwrap();
    assert_eq!(root.roles, ["admin"]);
    assert!(fixture.app.store.list_roles().await.unwrap().len() >= 4, "the roles are there");
}
