//! Rate limits, pages of other addresses, slow bodies, and what proxies say.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{http, within};
use super::fakes::{Fixture, HEAVY_LIMIT, PASSWORD};

const JSON: &str = "content-type: application/json";

fn wrong() -> String {
    json!({"username": "nobody", "password": PASSWORD}).to_string()
}

#[actix_web::test]
async fn a_flood_of_logins_is_refused_and_others_are_served() {
    let fixture = Fixture::with_database();
    let mut statuses = Vec::new();
    for _ in 0..HEAVY_LIMIT + 5 {
        let reply = http(fixture.address, "POST", "/api/v1/auth/login", &[JSON], &wrong()).await;
        statuses.push(reply.status);
        if reply.status == 429 {
            assert_eq!(reply.json()["code"], "too_many_requests");
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=61).contains(&wait));
        }
    }
    let served = statuses.iter().filter(|status| **status == 401).count();
    assert!(served >= HEAVY_LIMIT as usize && statuses.last() == Some(&429), "{statuses:?}");
    assert!(fixture.app.passwords.checks() <= served as u64, "what is refused costs no hash");
    assert_eq!(fixture.get("/live", None).await.status, 200);
    // The proxy at 127.0.0.1 is trusted: who is behind it has an allowance of their own.
    let other = "x-forwarded-for: 198.51.100.1, 203.0.113.9";
    let reply = http(fixture.address, "POST", "/api/v1/auth/login", &[JSON, other], &wrong()).await;
    assert_eq!(reply.status, 401);
    let entry = fixture.app.store.audit_page(None, None, None, 1).await.unwrap().remove(0);
    assert_eq!(entry.address.as_deref(), Some("203.0.113.9"), "only the trusted proxy is believed");
}

#[actix_web::test]
async fn pages_that_the_configuration_names_may_ask_and_others_are_told_nothing() {
    let fixture = Fixture::start();
    let ask = async |origin: &str| {
        let headers = [format!("origin: {origin}"), "access-control-request-method: POST".to_owned()];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        http(fixture.address, "OPTIONS", "/api/v1/streams", &headers, "").await
    };
    let allowed = ask("https://console.example").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://console.example"));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert_eq!(allowed.header("vary"), Some("origin"));
    let foreign = ask("https://evil.example").await;
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    assert_eq!(foreign.status, 405);
    let headers = ["origin: https://console.example"];
    let plain = http(fixture.address, "GET", "/live", &headers, "").await;
    assert_eq!(
        (plain.status, plain.header("access-control-allow-origin")),
        (200, Some("https://console.example"))
    );
    assert_eq!(plain.header("access-control-allow-credentials"), None);
}

#[actix_web::test]
async fn a_body_that_comes_too_slowly_is_given_up() {
    let fixture = Fixture::start();
    let mut stream = actix_web::rt::net::TcpStream::connect(fixture.address).await.unwrap();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 500\r\n\r\n{\"username\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    let problem: Value = serde_json::from_str(body.trim()).unwrap();
    assert_eq!(problem["code"], "request_timeout");
    fixture.stopper.stop(Duration::from_secs(1)).await;
}

#[actix_web::test]
async fn large_bodies_and_odd_paths_are_refused() {
    let fixture = Fixture::with_database();
    fixture.user("root", &["admin"]).await;
    let root = fixture.token_of("root").await;
    let bearer = format!("authorization: Bearer {root}");
    let large = json!({"name": "x".repeat(20_000)}).to_string();
    for path in ["/api/v1/keys", "/api/v1/users", "/api/v1/streams", "/api/v1/roles", "/api/v1/ws-tickets"] {
        let reply = http(fixture.address, "POST", path, &[&bearer, JSON], &large).await;
        assert_eq!((reply.status, &reply.json()["code"]), (413, &json!("payload_too_large")), "{path}");
    }
    let odd = ["..%2f..%2fetc%2fpasswd", "%00", "'%20or%201=1--", "%ff", "a%0d%0ax-evil:%201"];
    for name in odd {
        for place in ["users", "keys", "streams", "sessions", "roles"] {
            let path = format!("/api/v1/{place}/{name}");
            for method in ["GET", "DELETE"] {
                let reply = http(fixture.address, method, &path, &[&bearer], "").await;
                assert!(
                    (400..500).contains(&reply.status),
                    "{method} {path}: {} {}",
                    reply.status,
                    reply.body
                );
                assert_eq!(reply.header("x-evil"), None);
            }
        }
    }
    let query = "session=a%00b&stream='%3b%20drop%20table%20users%3b--";
    let reply = fixture.get(&format!("/api/v1/events?{query}"), Some(&root)).await;
    assert_eq!(reply.status, 400);
    let quoted = "session=x'%3b%20drop%20table%20users%3b--&event=frameAnalyzed";
    let reply = fixture.get(&format!("/api/v1/events?{quoted}"), Some(&root)).await;
    assert_eq!((reply.status, &reply.json()["events"]), (200, &json!([])));
    assert!(fixture.app.store.find_user("root").await.unwrap().is_some(), "the tables are there");
}
