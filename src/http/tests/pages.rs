//! What every answer has, and what state is shown to whom.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::client::{http, numbers};
use super::fakes::{Fixture, publish};
use crate::http::{BindError, Server, ServerSettings};

#[actix_web::test]
async fn every_answer_has_security_headers_and_a_request_id() {
    let fixture = Fixture::start();
    for path in ["/live", "/nope", "/api/v1/streams", "/metrics"] {
        let reply = http(fixture.address, "GET", path, &["x-request-id: abc-1"], "").await;
        let expected = [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("referrer-policy", "strict-origin-when-cross-origin"),
            ("x-request-id", "abc-1"),
        ];
        for (name, value) in expected {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    }
    let odd = http(fixture.address, "GET", "/live", &["x-request-id: a\"b {}"], "").await;
    assert_eq!(odd.header("x-request-id").map(str::len), Some(36));
}

#[actix_web::test]
async fn errors_are_problems_with_a_code_and_the_requests_id() {
    let fixture = Fixture::start();
    let alice = fixture.token("alice");
    let cases = [
        ("GET", "/nope", 404, "not_found"),
        ("DELETE", "/login", 405, "method_not_allowed"),
        ("GET", "/api/v1/streams/nope", 404, "stream_not_found"),
        ("GET", "/api/v1/sessions/nope", 404, "session_not_found"),
    ];
    for (method, path, status, code) in cases {
        let bearer = format!("authorization: Bearer {alice}");
        let reply = http(fixture.address, method, path, &[&bearer], "").await;
        assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/problem+json")));
        let problem = reply.json();
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)));
        assert_eq!(problem["requestId"].as_str(), reply.header("x-request-id"));
    }
}

#[actix_web::test]
async fn a_component_that_is_away_is_503_and_what_it_said_stays_inside() {
    let fixture = Fixture::start();
    fixture.world.database_away.store(true, Ordering::SeqCst);
    let reply = fixture.get("/api/v1/sessions", Some(&fixture.token("bob"))).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("5")));
    assert!(!reply.body.contains("secret") && !reply.body.contains("/var"), "{}", reply.body);
}

#[actix_web::test]
async fn streams_and_sessions_are_shown_to_those_with_a_token() {
    let fixture = Fixture::start();
    fixture.world.sessions.lock().unwrap().insert("s".to_owned(), (7, false));
    let bob = fixture.token("bob");
    let streams = fixture.get("/api/v1/streams", Some(&bob)).await.json();
    assert_eq!(streams["streams"][0]["name"], "cam");
    let stream = fixture.get("/api/v1/streams/cam", Some(&bob)).await.json();
    assert_eq!((&stream["state"], &stream["sessionId"]), (&json!("running"), &json!("s")));
    assert_eq!(fixture.get("/api/v1/sessions", Some(&bob)).await.json()["sessions"][0]["lastSeq"], 7);
    assert_eq!(fixture.get("/api/v1/sessions/s", Some(&bob)).await.json()["id"], "s");
    assert_eq!(fixture.get("/api/v1/sessions", None).await.status, 401);
}

#[actix_web::test]
async fn health_tells_components_only_to_keepers() {
    let fixture = Fixture::start();
    assert_eq!(fixture.get("/health", None).await.json(), json!({"status": "healthy"}));
    assert!(fixture.get("/health", Some(&fixture.token("bob"))).await.json().get("components").is_none());
    let detailed = fixture.get("/health", Some(&fixture.token("alice"))).await.json();
    assert_eq!(
        (&detailed["components"][0]["name"], &detailed["components"][0]["state"]),
        (&json!("database"), &json!("up"))
    );
}

#[actix_web::test]
async fn a_component_that_is_away_degrades_health_and_readiness_but_not_life() {
    let fixture = Fixture::start();
    fixture.world.database_away.store(true, Ordering::SeqCst);
    assert_eq!(fixture.get("/health", None).await.json(), json!({"status": "degraded"}));
    assert_eq!(fixture.get("/ready", None).await.status, 503);
    assert_eq!(fixture.get("/live", None).await.status, 200);
    fixture.app.set_ready(false);
    assert_eq!(fixture.get("/ready", None).await.status, 503);
}

#[actix_web::test]
async fn metrics_name_route_patterns_and_never_paths() {
    let fixture = Fixture::start();
    let bob = fixture.token("bob");
    fixture.get("/api/v1/streams/secret-name", Some(&bob)).await;
    fixture.get("/wp-admin.php", None).await;
    for method in ["BREW", "PROPFIND"] {
        assert_eq!(http(fixture.address, method, "/live", &[], "").await.status, 405);
    }
    let mut socket = fixture.subscribe("").await;
    publish(&fixture.hub, "s", [1]);
    numbers(&mut socket, 1).await;
    let text = fixture.get("/metrics", None).await.body;
    for line in [
        "http_requests_total{endpoint=\"/api/v1/streams/{name}\",method=\"GET\",status=\"404\"} 1",
        "http_requests_total{endpoint=\"unmatched\",method=\"GET\",status=\"404\"} 1",
        "http_requests_total{endpoint=\"/live\",method=\"UNKNOWN\",status=\"405\"} 2",
        "http_request_duration_seconds_count{endpoint=\"/api/v1/streams/{name}\"",
        "kinora_ws_subscribers 1",
        "kinora_ws_events_sent_total 1",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("secret-name") && !text.contains("wp-admin"), "{text}");
}

#[actix_web::test]
async fn a_taken_port_is_named() {
    let fixture = Fixture::start();
    let again = Server::bind(&ServerSettings::on(fixture.address, 1), fixture.app.clone());
    let error = again.map(drop).unwrap_err();
    assert!(matches!(error, BindError::Taken(_)));
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {}: another program uses this port", fixture.address)
    );
}
