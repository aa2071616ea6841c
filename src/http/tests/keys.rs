//! Keys of agents, tickets of browsers, and pages of other addresses; with accounts in a real database.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::client::{Socket, close_code, event, http, send, within};
use super::fakes::{Fixture, publish};

const JSON: &str = "content-type: application/json";

/// A database with an administrator, a viewer and the administrator's token.
async fn fixture() -> (Fixture, String) {
    let fixture = Fixture::with_database();
    fixture.user("root", &["admin"]).await;
    fixture.user("vera", &["viewer"]).await;
    let token = fixture.token_of("root").await;
    (fixture, token)
}

/// A subscription as a browser opens it.
async fn from_page(fixture: &Fixture, query: &str, origin: Option<&'static str>) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/ws/analysis?{query}", fixture.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("json"));
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_static(origin));
    }
    match within(tokio_tungstenite::connect_async(request)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("the upgrade should be answered, got {error}"),
    }
}

#[actix_web::test]
async fn a_key_watches_for_its_owner_and_does_nothing_else() {
    let (fixture, root) = fixture().await;
    let made = send(&fixture, "POST", "/api/v1/keys", &root, json!({"name": "lobby screen"})).await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")));
    let key = made.json()["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("kin_"));
    assert_eq!(fixture.get("/api/v1/streams", Some(&key)).await.status, 200);
    assert!(fixture.try_subscribe("", Some("json"), Some(&key)).await.is_ok());
    // Its owner may manage keys; the key may not.
    assert_eq!(fixture.get("/api/v1/keys", Some(&key)).await.status, 403);
    let listed = fixture.get("/api/v1/keys", Some(&root)).await;
    let shown = &listed.json()["keys"][0];
    assert_eq!((&shown["owner"], &shown["name"]), (&json!("root"), &json!("lobby screen")));
    assert!(shown["lastUsedAt"].is_string(), "{shown}");
    assert!(!listed.body.contains(key.rsplit('_').next().unwrap()), "the secret is never told again");
    let forged = format!("{}{}", &key[..key.len() - 1], if key.ends_with('0') { '1' } else { '0' });
    assert_eq!(fixture.get("/api/v1/streams", Some(&forged)).await.status, 401);
}

#[actix_web::test]
async fn a_key_sees_only_the_streams_and_events_that_it_names() {
    let (fixture, root) = fixture().await;
    let make = async |body: Value| {
        let made = send(&fixture, "POST", "/api/v1/keys", &root, body).await;
        made.json()["key"].as_str().unwrap().to_owned()
    };
    let elsewhere = make(json!({"name": "a", "streams": ["garage"]})).await;
    let states = make(json!({"name": "b", "streams": ["cam"], "events": ["streamState"]})).await;
    let refused = async |query: &str, key: &str| {
        fixture.try_subscribe(query, Some("json"), Some(key)).await.map(drop).unwrap_err()
    };
    assert_eq!(fixture.get("/api/v1/streams/cam", Some(&elsewhere)).await.status, 404);
    assert_eq!(fixture.get("/api/v1/streams", Some(&elsewhere)).await.json(), json!({"streams": []}));
    assert_eq!(refused("stream=cam", &elsewhere).await, (404, "stream_not_found".into()));
    publish(&fixture.hub, "s", 1..=1);
    assert_eq!(refused("session=s", &elsewhere).await, (404, "session_not_found".into()));
    assert_eq!(refused("events=frameAnalyzed", &states).await, (403, "forbidden".into()));
    let mut all = fixture.try_subscribe("", Some("json"), Some(&states)).await.unwrap();
    let mut none = fixture.try_subscribe("", Some("json"), Some(&elsewhere)).await.unwrap();
    publish(&fixture.hub, "s", 2..=6);
    assert_eq!(event(&mut all).await["payload"]["seq"], 5, "every fifth event is a change of state");
    fixture.stopper.stop(Duration::from_secs(1)).await;
    assert_eq!(close_code(&mut none).await, Some(1001), "nothing came before the end");
}

#[actix_web::test]
async fn keys_belong_to_their_owners() {
    let (fixture, root) = fixture().await;
    fixture.user("olga", &["operator"]).await;
    let (olga, vera) = (fixture.token_of("olga").await, fixture.token_of("vera").await);
    let made = send(&fixture, "POST", "/api/v1/keys", &root, json!({"name": "x", "owner": "vera"})).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/keys/{id}");
    assert_eq!(fixture.get("/api/v1/keys", Some(&vera)).await.status, 403);
    assert_eq!(fixture.get("/api/v1/keys", Some(&olga)).await.json(), json!({"keys": []}));
    assert_eq!(send(&fixture, "DELETE", &path, &olga, json!({})).await.status, 404);
    let foreign = send(&fixture, "POST", "/api/v1/keys", &olga, json!({"name": "x", "owner": "root"})).await;
    assert_eq!(foreign.status, 403);
    let nobody = send(&fixture, "POST", "/api/v1/keys", &root, json!({"name": "x", "owner": "nobody"})).await;
    assert_eq!(nobody.status, 404);
    for wrong in
        [json!({"name": ""}), json!({"name": "x", "streams": []}), json!({"name": "x", "events": ["no"]})]
    {
        assert_eq!(send(&fixture, "POST", "/api/v1/keys", &olga, wrong).await.status, 400);
    }
    assert_eq!(send(&fixture, "DELETE", &path, &root, json!({})).await.status, 204);
}

#[actix_web::test]
async fn a_revoked_key_or_a_disabled_owner_is_cut_within_five_seconds() {
    let (fixture, root) = fixture().await;
    for disable in [false, true] {
        let made = send(&fixture, "POST", "/api/v1/keys", &root, json!({"name": "x", "owner": "vera"})).await;
        let key = made.json()["key"].as_str().unwrap().to_owned();
        let mut socket = fixture.try_subscribe("", Some("json"), Some(&key)).await.unwrap();
        let begin = Instant::now();
        if disable {
            fixture.disable("vera").await;
        } else {
            let path = format!("/api/v1/keys/{}", made.json()["id"].as_str().unwrap());
            assert_eq!(send(&fixture, "DELETE", &path, &root, json!({})).await.status, 204);
        }
        assert_eq!(close_code(&mut socket).await, Some(4401));
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert_eq!(fixture.get("/api/v1/streams", Some(&key)).await.status, 401);
    }
}

#[actix_web::test]
async fn a_ticket_opens_its_own_subscription_once() {
    let (fixture, root) = fixture().await;
    let origin = "origin: https://console.example";
    let bearer = format!("authorization: Bearer {root}");
    let ask = async |body: Value| {
        http(fixture.address, "POST", "/api/v1/ws-tickets", &[&bearer, JSON, origin], &body.to_string()).await
    };
    let made = ask(json!({"stream": ["cam"], "events": ["streamState"]})).await;
    assert_eq!((made.status, &made.json()["expires_in"]), (201, &json!(30)));
    let query = format!("ticket={}", made.json()["ticket"].as_str().unwrap());
    let mut socket = from_page(&fixture, &query, Some("https://console.example")).await.unwrap();
    publish(&fixture.hub, "s", 1..=6);
    assert_eq!(event(&mut socket).await["payload"]["seq"], 5, "the filter is the ticket's");
    assert_eq!(from_page(&fixture, &query, Some("https://console.example")).await.err(), Some(401));

    let again = async || format!("ticket={}", ask(json!({})).await.json()["ticket"].as_str().unwrap());
    assert_eq!(from_page(&fixture, &again().await, None).await.err(), Some(401), "of another page");
    let wider = format!("{}&stream=cam", again().await);
    assert_eq!(from_page(&fixture, &wider, Some("https://console.example")).await.err(), Some(400));
    assert_eq!(ask(json!({"stream": ["nope"]})).await.status, 404);
    assert_eq!(ask(json!({"after": 1})).await.status, 400);
    assert_eq!(ask(json!({"colour": 1})).await.status, 400);
}

#[actix_web::test]
async fn a_ticket_is_over_after_thirty_seconds() {
    let (fixture, root) = fixture().await;
    let made = send(&fixture, "POST", "/api/v1/ws-tickets", &root, json!({})).await;
    let ticket = crate::accounts::digest(made.json()["ticket"].as_str().unwrap());
    let now = fixture.app.clock.unix_us();
    assert_eq!(fixture.app.store.take_ticket(ticket, now + 31_000_000).await.unwrap(), None);
}

#[actix_web::test]
async fn pages_of_foreign_addresses_may_not_subscribe() {
    let (fixture, root) = fixture().await;
    let own = format!("http://{}", fixture.address);
    for (origin, expected) in [
        ("https://evil.example", Some((403, "origin_forbidden".to_owned()))),
        ("null", Some((403, "origin_forbidden".to_owned()))),
        ("https://console.example.evil.example", Some((403, "origin_forbidden".to_owned()))),
        ("https://console.example", None),
        (&own, None),
    ] {
        let header = format!("origin: {origin}");
        let refused = fixture.try_subscribe_with("", &root, &header).await.err();
        assert_eq!(refused, expected, "{origin}");
    }
}
