//! The development login: for programs on this machine, and gone where it is off.

use actix_web::rt::net::TcpStream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::within;
use super::fakes::{Doors, Fixture};

const ON: fn() -> Doors = || Doors { development_login: true, ..Doors::default() };

async fn ask(fixture: &Fixture, host: &str, more: &str, role: &str) -> (u16, Value) {
    let body = json!({"role": role}).to_string();
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    let request = format!(
        "POST /api/v1/auth/development HTTP/1.0\r\nhost: {host}\r\n{more}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[actix_web::test]
async fn a_program_on_this_machine_is_whoever_it_says() {
    let fixture = Fixture::with_doors(ON());
    for role in ["admin", "viewer", "admin"] {
        let (status, granted) = ask(&fixture, "127.0.0.1:8080", "", role).await;
        assert_eq!(status, 200, "{granted}");
        let me = fixture.get("/api/v1/me", granted["access_token"].as_str()).await.json();
        assert_eq!((&me["username"], &me["roles"]), (&json!(format!("development-{role}")), &json!([role])));
    }
    assert_eq!(fixture.app.store.count_admins().await.unwrap(), 0, "it counts as no administrator");
    assert_eq!(ask(&fixture, "localhost", "", "king").await.0, 400);
}

#[actix_web::test]
async fn who_is_not_here_or_asks_another_name_is_refused() {
    let fixture = Fixture::with_doors(ON());
    for (host, more) in [
        ("kinora.example", ""),
        ("127.0.0.1.evil.example", ""),
        ("localhost:8080@evil.example", ""),
        ("127.0.0.1", "x-forwarded-for: 198.51.100.1\r\n"),
        ("127.0.0.1", "x-forwarded-for: 127.0.0.1\r\n"),
        ("127.0.0.1", "forwarded: for=198.51.100.1\r\n"),
    ] {
        let (status, problem) = ask(&fixture, host, more, "viewer").await;
        assert_eq!((status, &problem["code"]), (403, &json!("not_local")), "{host} {more}");
    }
    let off = Fixture::with_database();
    assert_eq!(ask(&off, "127.0.0.1", "", "viewer").await.0, 404);
}

#[actix_web::test]
async fn a_server_without_it_closes_what_it_made() {
    let fixture = Fixture::with_doors(ON());
    let (_, granted) = ask(&fixture, "[::1]", "", "admin").await;
    let store = &fixture.app.store;
    assert_eq!(store.close_development_accounts().await.unwrap(), 1);
    fixture.app.forget_all();
    assert_eq!(fixture.get("/api/v1/me", granted["access_token"].as_str()).await.status, 401);
    assert_eq!(ask(&fixture, "[::1]", "", "admin").await.1["code"], "account_disabled");
    store.open_development_accounts().await.unwrap();
    assert_eq!(ask(&fixture, "[::1]", "", "admin").await.0, 200);
}
