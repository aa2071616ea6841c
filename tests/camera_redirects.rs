//! A source of a web server that was made over HTTP: redirects are followed where the configuration allows, and nowhere else.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::clips;
use crate::server_support::{Home, Server};

/// Loopback has many numbers.
const FIRST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const ALLOWED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A web server that counts who connects.
struct Web {
    port: u16,
    visits: Arc<AtomicUsize>,
}

impl Web {
    /// Answers each path as `answer` says.
    fn start(number: Ipv4Addr, answer: impl Fn(&str, u16) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind((number, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&visits);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::AcqRel);
                let path = asked_path(&stream);
                // The client may leave before it has all.
                let _ = (&stream).write_all(&answer(&path, port));
            }
        });
        Self { port, visits }
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::Acquire)
    }
}

/// Reads a request's head and gives its path.
fn asked_path(mut stream: &TcpStream) -> String {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => head.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned()
}

fn clip() -> Vec<u8> {
    let bytes = std::fs::read(clips::short_mpegts()).unwrap();
    [&b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..], &bytes].concat()
}

fn redirect(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .into()
}

#[test]
fn a_web_source_made_over_http_follows_redirects_to_allowed_hosts_only() {
    let (target, secret) = (Web::start(ALLOWED, |_, _| clip()), Web::start(FORBIDDEN, |_, _| clip()));
    let (to_target, to_secret) = (target.port, secret.port);
    let first = Web::start(FIRST, move |path, port| match path {
        "/allowed" => redirect(&format!("http://{ALLOWED}:{to_target}/a.ts?token=x")),
        "/twice" => redirect("allowed"),
        "/forbidden" => redirect(&format!("//{FORBIDDEN}:{to_secret}/a.ts")),
        "/circle" => redirect(&format!("http://{FIRST}:{port}/circle")),
        "/elsewhere" => redirect("file:///etc/passwd"),
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let server = Server::start_in(Home::new(&format!("forbidden_networks = \"{FORBIDDEN}/32\"\n")));
    let source = |path: &str| format!("http://user:s3cret-of-a-web-server@{FIRST}:{}/{path}", first.port);
    for (path, status) in
        [("allowed", 200), ("twice", 200), ("forbidden", 422), ("circle", 422), ("elsewhere", 422)]
    {
        let (tried, answer) = server.post("/api/v1/sources/test", &json!({"source": source(path)}));
        assert_eq!(tried, status, "{path}: {answer}");
    }
    let body = json!({"name": "led-astray", "source": source("forbidden")});
    assert_eq!(server.post("/api/v1/streams", &body).0, 201);
    let stream = server.until_state("led-astray", "reconnecting");
    assert_eq!(stream["reason"], "source_forbidden", "{stream}");
    let message = stream["message"].as_str().unwrap();
    assert!(message.contains(&FORBIDDEN.to_string()) && message.contains("forbids"), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
    assert_eq!((secret.visits(), target.visits() > 0), (0, true), "nobody should have come to {FORBIDDEN}");
}

#[test]
fn a_trusted_web_source_follows_redirects_as_before() {
    let target = Web::start(FORBIDDEN, |_, _| clip());
    let port = target.port;
    let first = Web::start(FIRST, move |_, _| redirect(&format!("http://{FORBIDDEN}:{port}/a.ts")));
    let run = crate::support::kinora(&["analyze", &format!("http://{FIRST}:{}/a.ts", first.port)]);
    assert_eq!(crate::support::frames(&run.events()).len(), 24);
}
