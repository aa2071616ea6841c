//! A small HTTP client and a WebSocket client.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::rt::time::timeout;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::fakes::Fixture;

/// Nothing in these tests takes so long; who waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An HTTP answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// One request, one connection.
pub(super) async fn http(to: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let mut request = format!("{method} {path} HTTP/1.0\r\nhost: x\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|header| request.push_str(&format!("{header}\r\n")));
    request.push_str(&format!("\r\n{body}"));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.contains("transfer-encoding: chunked") { dechunked(body) } else { body.to_owned() };
    Reply { status, head: head.to_owned(), body }
}

/// The body of a chunked answer; what is broken off has no end and fails here.
fn dechunked(mut rest: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, behind) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.push_str(&behind[..size]);
        rest = &behind[size + 2..];
    }
}

/// A request with a token and a body of JSON.
pub(super) async fn send(fixture: &Fixture, method: &str, path: &str, token: &str, body: Value) -> Reply {
    let bearer = format!("authorization: Bearer {token}");
    let headers = [&*bearer, "content-type: application/json"];
    http(fixture.address, method, path, &headers, &body.to_string()).await
}

/// The same without a token.
pub(super) async fn post(fixture: &Fixture, path: &str, body: Value) -> Reply {
    http(fixture.address, "POST", path, &["content-type: application/json"], &body.to_string()).await
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it should not take so long")
}

impl Fixture {
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> Reply {
        let header = token.map(|token| format!("authorization: Bearer {token}"));
        let headers: Vec<&str> = header.iter().map(String::as_str).collect();
        http(self.address, "GET", path, &headers, "").await
    }

    /// A subscription by bob.
    pub(super) async fn subscribe(&self, query: &str) -> Socket {
        self.try_subscribe(query, Some("json"), Some(&self.token("bob"))).await.unwrap()
    }

    /// A subscription, or the status and code of its refusal.
    pub(super) async fn try_subscribe(
        &self,
        query: &str,
        protocol: Option<&'static str>,
        token: Option<&str>,
    ) -> Result<Socket, (u16, String)> {
        let url = format!("ws://{}/ws/analysis?{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        if let Some(protocol) = protocol {
            let name = "sec-websocket-protocol";
            request.headers_mut().insert(name, HeaderValue::from_static(protocol));
        }
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            request.headers_mut().insert("authorization", value);
        }
        Self::connect(request).await
    }

    /// A subscription with one more header.
    pub(super) async fn try_subscribe_with(
        &self,
        query: &str,
        token: &str,
        header: &str,
    ) -> Result<Socket, (u16, String)> {
        let url = format!("ws://{}/ws/analysis?{query}", self.address);
        let mut request = url.into_client_request().unwrap();
        let (name, value) = header.split_once(": ").unwrap();
        let bearer = format!("Bearer {token}");
        for (name, value) in [("sec-websocket-protocol", "json"), ("authorization", &bearer), (name, value)] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        Self::connect(request).await
    }

    async fn connect(request: Request<()>) -> Result<Socket, (u16, String)> {
        match within(tokio_tungstenite::connect_async(request)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
                let code = problem["code"].as_str().unwrap_or_default().to_owned();
                Err((answer.status().as_u16(), code))
            }
            Err(error) => panic!("the upgrade should be answered, got {error}"),
        }
    }
}

/// The next event.
pub(super) async fn event(socket: &mut Socket) -> Value {
    loop {
        match within(socket.next()).await {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("an event should come, got {other:?}"),
        }
    }
}

/// The numbers and previous numbers of the next events.
pub(super) async fn numbers(socket: &mut Socket, count: usize) -> Vec<(u64, u64)> {
    let mut list = Vec::new();
    for _ in 0..count {
        let payload = event(socket).await["payload"].take();
        list.push((payload["prevSeq"].as_u64().unwrap(), payload["seq"].as_u64().unwrap()));
    }
    list
}

/// The close code, after whatever comes before it. Reads on to the end of the socket, which sends the answer.
pub(super) async fn close_code(socket: &mut Socket) -> Option<u16> {
    let mut code = None;
    while let Some(Ok(message)) = within(socket.next()).await {
        if let Message::Close(frame) = message {
            code = frame.map(|frame| frame.code.into());
        }
    }
    code
}
