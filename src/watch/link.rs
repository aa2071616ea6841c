//! One WebSocket connection, read into a bounded channel until it ends.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::http::{self, Failure};

/// A connection that is open.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Which connection something comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// The live one.
    Live,
    /// The one that resumed this session.
    Resumed(String),
}

/// What comes from a connection.
#[derive(Debug)]
pub(super) enum Item {
    /// An event.
    Event(String),
    /// Nothing follows.
    Ended(Ended),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The server closed it, with a code and a word.
    Closed(Option<u16>, String),
    /// It broke.
    Broken(String),
    /// It was quiet for too long.
    Quiet,
    /// It was not made.
    Refused(Failure),
}

/// Opens a connection.
pub(super) async fn connect(url: &str, token: &str, within: Duration) -> Result<Socket, Failure> {
    let mut request = url.into_client_request().map_err(|error| Failure::Passing(error.to_string()))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Failure::Unauthorized("the token has characters that no token has".to_owned()))?;
    request.headers_mut().insert("authorization", bearer);
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("json"));
    match timeout(within, tokio_tungstenite::connect_async(request)).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(answer))) => {
            let body = answer.body().as_deref().unwrap_or_default();
            let refusal = http::refusal(answer.status().as_u16(), body);
            // Whatever it is: the server says that another try is worth it.
            Err(if answer.headers().contains_key("retry-after") { refusal.passing() } else { refusal })
        }
        Ok(Err(error)) => Err(Failure::Passing(error.to_string())),
        Err(_) => Err(Failure::Passing("the server does not answer".to_owned())),
    }
}

/// Reads a connection into `into`; a quiet connection ends after `silence`. Pings are answered on the way.
pub(super) async fn read(
    mut socket: Socket,
    silence: Duration,
    origin: Origin,
    into: mpsc::Sender<(Origin, Item)>,
) {
    loop {
        let item = match timeout(silence, socket.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => Item::Event(text.as_str().to_owned()),
            Ok(Some(Ok(Message::Close(frame)))) => {
                // Reading on sends the answer; what comes after it is of no interest.
                let _ = timeout(Duration::from_secs(1), socket.next()).await;
                let word = frame.as_ref().map_or_else(String::new, |frame| frame.reason.to_string());
                Item::Ended(Ended::Closed(frame.map(|frame| frame.code.into()), word))
            }
            Ok(Some(Ok(_))) => continue,
            Ok(Some(Err(error))) => Item::Ended(Ended::Broken(error.to_string())),
            Ok(None) => Item::Ended(Ended::Broken("the connection ended".to_owned())),
            Err(_) => Item::Ended(Ended::Quiet),
        };
        let over = matches!(item, Item::Ended(_));
        // A full channel holds the reading up: the server sees a slow client, not this process a full memory.
        if into.send((origin.clone(), item)).await.is_err() || over {
            return;
        }
    }
}
