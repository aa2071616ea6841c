//! Deadlines of a connection: ping and pong, expiry, revocation, standing still, shutdown.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use kinora_actors::domain::EventKind;
use kinora_actors::hub::Hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use super::client::{close_code, event, numbers, within};
use super::fakes::{Fixture, publish, publish_one, quick};
use crate::http::WsSettings;

const LIFETIME: Duration = Duration::from_secs(900);

fn pinging() -> WsSettings {
    WsSettings { ping_every: Duration::from_millis(100), ..quick() }
}

/// Reads without answering pings, as no WebSocket library would; the socket's end is the end.
async fn upgrade_by_hand(fixture: &Fixture) -> actix_web::rt::net::TcpStream {
    let mut stream = actix_web::rt::net::TcpStream::connect(fixture.address).await.unwrap();
    let request = format!(
        "GET /ws/analysis HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: json\r\nauthorization: Bearer {}\r\n\r\n",
        fixture.token("bob")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

#[actix_web::test]
async fn pings_are_seen_and_a_client_that_answers_stays() {
    let fixture = Fixture::with(pinging(), LIFETIME, Hub::new());
    let mut socket = fixture.subscribe("").await;
    for _ in 0..6 {
        assert!(matches!(within(socket.next()).await, Some(Ok(Message::Ping(_)))));
    }
    publish(&fixture.hub, "s", [1]);
    assert_eq!(numbers(&mut socket, 1).await, [(0, 1)]);
}

#[actix_web::test]
async fn two_missed_pongs_end_the_connection() {
    let fixture = Fixture::with(pinging(), LIFETIME, Hub::new());
    let mut stream = upgrade_by_hand(&fixture).await;
    let mut seen = Vec::new();
    within(stream.read_to_end(&mut seen)).await.unwrap();
    // Two empty pings, then the close frame with 4408.
    assert_eq!(&seen[..4], [0x89, 0, 0x89, 0]);
    assert_eq!((seen[4], u16::from_be_bytes([seen[6], seen[7]])), (0x88, 4408));
    within(fixture.app.seats.all_left()).await;
    assert_eq!(*fixture.world.left.lock().unwrap(), [("pong_missed", true)]);
}

#[actix_web::test]
async fn an_expired_token_ends_its_connection_with_4401() {
    let fixture = Fixture::with(quick(), Duration::from_secs(1), Hub::new());
    let mut socket = fixture.subscribe("").await;
    assert_eq!(close_code(&mut socket).await, Some(4401));
}

#[actix_web::test]
async fn a_revoked_account_ends_its_connections_with_4401() {
    let fixture = Fixture::with(pinging(), LIFETIME, Hub::new());
    let mut socket = fixture.subscribe("").await;
    fixture.world.revoked.store(true, Ordering::SeqCst);
    assert_eq!(close_code(&mut socket).await, Some(4401));
}

#[actix_web::test]
async fn a_client_that_stops_reading_loses_its_socket_in_time_while_another_misses_nothing() {
    let ws = WsSettings { stall_limit: Duration::from_millis(300), ..quick() };
    let fixture = Fixture::with(ws, LIFETIME, Hub::new());
    let _still = upgrade_by_hand(&fixture).await;
    let mut quick = fixture.subscribe("").await;
    let mut seq = 0;
    let left = || fixture.world.left.lock().unwrap().clone();
    within(async {
        while left().is_empty() {
            seq += 1;
            publish_one(&fixture.hub, "s", seq, EventKind::FrameAnalyzed, 64 * 1024);
            assert_eq!(event(&mut quick).await["payload"]["seq"], seq);
        }
    })
    .await;
    assert_eq!(left(), [("too_slow", true)]);
}

#[actix_web::test]
async fn shutdown_closes_subscriptions_with_1001_and_ends_in_time_though_one_does_not_read() {
    let fixture = Fixture::start();
    let mut socket = fixture.subscribe("").await;
    let _still = upgrade_by_hand(&fixture).await;
    let stop = fixture.stopper.clone();
    let stopped = actix_web::rt::spawn(async move { stop.stop(Duration::from_secs(5)).await });
    assert_eq!(close_code(&mut socket).await, Some(1001));
    within(stopped).await.unwrap();
    assert!(actix_web::rt::net::TcpStream::connect(fixture.address).await.is_err());
}
