//! The agent against the real server, whose connections are broken again and again.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kinora_actors::domain::EventKind;
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch as signal;

use super::{Credentials, Notice, Timing, WatchError, WatchOptions, watch};
use crate::http::tests::fakes::{Fixture, PASSWORD, publish, publish_one};

/// What the agent printed.
#[derive(Clone, Default)]
pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn of(&self, session: &str) -> Vec<u64> {
        let bytes = self.0.lock().unwrap();
        let lines = std::str::from_utf8(&bytes).unwrap().lines();
        lines
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|event| event["sessionId"] == session)
            .filter_map(|event| event["payload"]["seq"].as_u64())
            .collect()
    }
}

/// A proxy whose connections can all be cut.
async fn proxy(to: std::net::SocketAddr) -> (String, signal::Sender<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, _) = signal::channel(0);
    let cuts = cut.clone();
    actix_web::rt::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut cut = cuts.subscribe();
            actix_web::rt::spawn(async move {
                let Ok(mut server) = TcpStream::connect(to).await else { return };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
    (format!("http://{address}"), cut)
}

fn quick() -> Timing {
    Timing { backoff_unit: Duration::from_millis(5), ..Timing::default() }
}

fn bob() -> Credentials {
    Credentials::Password { username: "bob".to_owned(), password: PASSWORD.to_owned() }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[actix_web::test]
async fn nothing_is_lost_or_repeated_however_often_the_connection_breaks() {
    let fixture = Fixture::forgetful();
    let (url, cut) = proxy(fixture.address).await;
    let credentials = Credentials::Token(fixture.token("bob"));
    let lines = Lines::default();
    let connected = Arc::new(Mutex::new(0));
    let (mut out, count) = (lines.clone(), Arc::clone(&connected));
    let agent = actix_web::rt::spawn(async move {
        let mut notice = |notice| *count.lock().unwrap() += u32::from(notice == Notice::Connected);
        let options = WatchOptions { url, credentials, timing: quick() };
        watch(options, &mut out, &mut notice, std::future::pending()).await
    });
    until("the agent should connect", || *connected.lock().unwrap() == 1).await;
    let emit = |name: &str, seq: u64| {
        fixture.world.store(name, [seq]);
        fixture.world.sessions.lock().unwrap().insert(name.to_owned(), (seq, false));
        publish(&fixture.hub, name, [seq]);
    };
    for seq in 1..=400 {
        emit("a", seq);
        // A second session begins while the agent is away.
        if seq > 150 {
            emit("b", seq - 150);
        }
        if seq % 50 == 0 {
            cut.send_modify(|cuts| *cuts += 1);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    until("everything should arrive", || lines.of("a").len() >= 400 && lines.of("b").len() >= 250).await;
    assert_eq!(lines.of("a"), (1..=400).collect::<Vec<_>>());
    assert_eq!(lines.of("b"), (1..=250).collect::<Vec<_>>());
    assert!(*connected.lock().unwrap() > 3);
    agent.abort();
}

#[actix_web::test]
async fn one_session_is_watched_from_a_number_to_its_end() {
    let fixture = Fixture::with_database();
    fixture.user("bob", &["agent"]).await;
    publish(&fixture.hub, "s", 1..=20);
    publish_one(&fixture.hub, "s", 21, EventKind::SessionEnded, 0);
    let lines = Lines::default();
    let url = format!("http://{}/?session=s&after=5", fixture.address);
    let options = WatchOptions { url, credentials: bob(), timing: quick() };
    watch(options, &mut lines.clone(), &mut |_| {}, std::future::pending()).await.unwrap();
    assert_eq!(lines.of("s"), (6..=21).collect::<Vec<_>>());
}

#[actix_web::test]
async fn a_refused_login_or_token_is_final_and_says_why() {
    let fixture = Fixture::start();
    let wrong = Credentials::Password { username: "bob".to_owned(), password: "wrong".to_owned() };
    for (credentials, said) in
        [(wrong, "user name or the password"), (Credentials::Token("x".into()), "not valid")]
    {
        let url = format!("ws://{}", fixture.address);
        let options = WatchOptions { url, credentials, timing: quick() };
        let ended = watch(options, &mut io::sink(), &mut |_| {}, std::future::pending()).await;
        let error = ended.unwrap_err();
        assert!(matches!(error, WatchError::Refused { status: 401, .. }));
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[actix_web::test]
async fn a_server_that_is_away_is_tried_again_until_the_agent_is_stopped() {
    let (stop, mut stopped) = signal::channel(0);
    let mut waits = Vec::new();
    let mut notice = |notice| {
        if let Notice::Lost { retry_in, .. } = notice {
            waits.push(retry_in.as_millis());
            stop.send_modify(|failures| *failures += 1);
        }
    };
    let options = WatchOptions { url: "ws://127.0.0.1:1".to_owned(), credentials: bob(), timing: quick() };
    let enough = async move {
        let _ = stopped.wait_for(|failures| *failures == 4).await;
    };
    watch(options, &mut io::sink(), &mut notice, enough).await.unwrap();
    assert_eq!(waits, [5, 10, 25, 50]);
}
