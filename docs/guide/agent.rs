//! An agent: prints the stream, the number and the pose's score of each frame. usage: agent HOST:PORT TOKEN

use std::io::Write;

use futures_util::StreamExt;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, token] = &arguments[..] else { return Err("usage: agent HOST:PORT TOKEN".into()) };
    let mut request = format!("ws://{host}/ws/analysis?events=frameAnalyzed").into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
    request.headers_mut().insert("sec-websocket-protocol", "json".parse()?);
    let (mut socket, _) = connect_async(request).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if !message.is_text() {
            continue;
        }
        let event: serde_json::Value = serde_json::from_str(message.to_text()?)?;
        if event["event"] == "frameAnalyzed" {
            let payload = &event["payload"];
            let stream = payload["stream"].as_str().unwrap_or_default();
            writeln!(std::io::stdout(), "{stream} {} {}", payload["seq"], payload["poses"][0]["score"])?;
        }
    }
    Ok(())
}
