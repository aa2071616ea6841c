//! Who gets in: logins, tokens and the refusals of the WebSocket.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kinora_actors::hub::Hub;
use serde_json::{Value, json};

use super::client::{Reply, close_code, http, within};
use super::fakes::{Fixture, KEY, PASSWORD, nobody, publish, quick};
use crate::http::WsSettings;

const FORM: &str = "content-type: application/x-www-form-urlencoded";
const JSON: &str = "content-type: application/json";

async fn login(fixture: &Fixture, user: &str, password: &str) -> Reply {
    let body = format!("grant_type=password&username={user}&password={}", password.replace(' ', "+"));
    http(fixture.address, "POST", "/login", &[FORM], &body).await
}

async fn login_json(fixture: &Fixture, body: Value) -> Reply {
    http(fixture.address, "POST", "/api/v1/auth/login", &[JSON], &body.to_string()).await
}

#[actix_web::test]
async fn unknown_wrong_disabled_and_too_long_get_one_answer() {
    let fixture = Fixture::start();
    let long = "x".repeat(80);
    for (user, password) in [("nobody", PASSWORD), ("alice", "wrong"), ("gone", PASSWORD), ("alice", &long)] {
        let reply = login(&fixture, user, password).await;
        let mut body = reply.json();
        body.as_object_mut().unwrap().remove("requestId");
        let expected = json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid_credentials",
            "detail": "The user name or the password is wrong.",
            "error": "invalid_grant", "error_description": "The user name or the password is wrong.",
        });
        assert_eq!((reply.status, body), (400, expected));
        let reply = login_json(&fixture, json!({"username": user, "password": password})).await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!("invalid_credentials")));
    }
}

#[actix_web::test]
async fn malformed_logins_say_what_is_wrong() {
    let fixture = Fixture::start();
    let post = async |path: &str, kind: &str, body: &str| {
        let reply = http(fixture.address, "POST", path, &[kind], body).await;
        (reply.status, reply.json()["code"].as_str().unwrap().to_owned(), reply.json()["error"].clone())
    };
    let grant = post("/login", FORM, "grant_type=magic&username=a&password=b").await;
    assert_eq!(grant, (400, "unsupported_grant_type".into(), json!("unsupported_grant_type")));
    let missing = post("/login", FORM, "grant_type=password&username=a").await;
    assert_eq!(missing, (400, "invalid_request".into(), json!("invalid_request")));
    let json = post("/api/v1/auth/login", JSON, "{not json").await;
    assert_eq!(json, (400, "invalid_json".into(), Value::Null));
    let large = post("/api/v1/auth/login", JSON, &" ".repeat(20_000)).await;
    assert_eq!(large, (413, "payload_too_large".into(), Value::Null));
    let kind = post("/api/v1/auth/login", "content-type: text/plain", "{}").await;
    assert_eq!(kind, (415, "unsupported_media_type".into(), Value::Null));
}

#[actix_web::test]
async fn forged_expired_and_foreign_tokens_are_refused() {
    let fixture = Fixture::start();
    let now = jsonwebtoken::get_current_timestamp();
    let good = json!({"iss": "kinora", "aud": "kinora-api", "sub": "1", "name": "a", "roles": ["admin"],
        "iat": now, "exp": now + 60, "jti": "x"});
    let sign = |algorithm, claims: &Value, key: &[u8]| {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let with = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        sign(Algorithm::HS256, &claims, KEY)
    };
    let signed = sign(Algorithm::HS256, &good, KEY);
    assert_eq!(fixture.get("/api/v1/streams", Some(&signed)).await.status, 200);
    let (_, payload) = signed.split_once('.').unwrap();
    let (payload, signature) = payload.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}, without and with a signature.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let forged = [
        (format!("{none}.{payload}."), "token_invalid"),
        (format!("{none}.{payload}.{signature}"), "token_invalid"),
        (sign(Algorithm::HS512, &good, KEY), "token_invalid"),
        (sign(Algorithm::HS256, &good, b"another key of thirty-two bytes!"), "token_invalid"),
        (with("aud", json!("other")), "token_invalid"),
        (with("iss", json!("other")), "token_invalid"),
        (with("sub", json!("not a number")), "token_invalid"),
        (with("exp", Value::Null), "token_invalid"),
        (with("exp", json!(now - 1)), "token_expired"),
        ("rubbish".to_owned(), "token_invalid"),
    ];
    for (token, code) in forged {
        let reply = fixture.get("/api/v1/streams", Some(&token)).await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!(code)), "{token}");
        assert!(reply.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    }
}

#[actix_web::test]
async fn each_refusal_of_an_upgrade_is_a_status_with_a_code() {
    let fixture = Fixture::start();
    publish(&fixture.hub, "s", 1..=10);
    let bob = fixture.token("bob");
    let roleless = fixture.app.tokens.issue(&nobody(i64::from(b'n')), None).unwrap();
    let refused = async |query: &str, protocol, token: Option<&str>| {
        fixture.try_subscribe(query, protocol, token).await.map(drop).unwrap_err()
    };
    let json = Some("json");
    assert_eq!(refused("", None, Some(&bob)).await, (400, "subprotocol_required".into()));
    assert_eq!(refused("", Some("xml"), Some(&bob)).await, (400, "subprotocol_required".into()));
    assert_eq!(refused("", json, None).await, (401, "token_missing".into()));
    assert_eq!(refused("", json, Some("rubbish")).await, (401, "token_invalid".into()));
    assert_eq!(refused("", json, Some(&roleless)).await, (403, "forbidden".into()));
    assert_eq!(refused("after=1", json, Some(&bob)).await, (400, "invalid_query".into()));
    assert_eq!(refused("stream=nope", json, Some(&bob)).await, (404, "stream_not_found".into()));
    assert_eq!(refused("session=nope", json, Some(&bob)).await, (404, "session_not_found".into()));
    assert_eq!(refused("session=s&after=11", json, Some(&bob)).await, (409, "seq_ahead".into()));
    let headers = ["sec-websocket-protocol: json", &format!("authorization: Bearer {bob}")];
    publish(&fixture.hub, "elsewhere", 1..=10);
    for (session, again_in) in [("s", None), ("elsewhere", Some("1"))] {
        let path = format!("/ws/analysis?session={session}&after=11");
        let ahead = http(fixture.address, "GET", &path, &headers, "").await;
        let told = (ahead.status, ahead.header("retry-after"));
        assert_eq!(told, (409, again_in), "only another server may still bring it: {}", ahead.body);
    }
    let plain = http(fixture.address, "GET", "/ws/analysis", &headers, "").await;
    assert_eq!((plain.status, &plain.json()["code"]), (400, &json!("bad_request")));
    assert_eq!(fixture.app.metrics.subscribers.get(), 0);
}

#[actix_web::test]
async fn connections_are_counted_for_each_user_and_in_all() {
    let ws = WsSettings { max_per_user: 2, max_total: 3, ..quick() };
    let fixture = Fixture::with(ws, Duration::from_secs(900), Hub::new());
    let (alice, bob) = (fixture.token("alice"), fixture.token("bob"));
    let open = async |token: &str| fixture.try_subscribe("", Some("json"), Some(token)).await;
    let many = Some((429, "too_many_connections".to_owned()));
    let first = open(&bob).await.unwrap();
    let _second = open(&bob).await.unwrap();
    assert_eq!(open(&bob).await.err(), many);
    let _third = open(&alice).await.unwrap();
    assert_eq!(open(&alice).await.err(), many);
    let mut first = first;
    within(first.close(None)).await.unwrap();
    close_code(&mut first).await;
    within(async {
        while fixture.app.metrics.subscribers.get() == 3 {
            actix_web::rt::task::yield_now().await;
        }
    })
    .await;
    assert!(open(&alice).await.is_ok());
}
