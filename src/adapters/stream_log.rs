//! What happens to streams, as log lines.

use std::sync::Arc;

use kinora_actors::domain::StreamState;
use kinora_actors::status::{StreamNotice, StreamObserver, StreamStatus};
use slog::{Logger, error, info, o, warn};

/// An observer that logs: trouble as warnings, what an operator must act on as errors.
pub(crate) fn stream_log(log: Logger) -> StreamObserver {
    Arc::new(move |notice| match notice {
        StreamNotice::StateChanged(stream) => state_changed(&log, &stream),
        StreamNotice::SessionBegan { stream, session } => {
            info!(log, "session began"; "stream" => &*stream, "session" => &*session.0);
        }
        StreamNotice::SessionEnded { stream, session, reason, last_seq } => info!(
            log, "session ended"; "stream" => &*stream, "session" => &*session.0,
            "reason" => reason.code(), "last_seq" => last_seq
        ),
    })
}

fn state_changed(log: &Logger, stream: &StreamStatus) {
    let next_try_at = stream.next_try_at.map(|at| at.to_string());
    let log = log.new(o!(
        "stream" => stream.name.to_string(), "state" => stream.state.code(), "reason" => stream.reason,
        "detail" => stream.message.to_string(), "next_try_at" => next_try_at
    ));
    let message = "stream state changed";
    match stream.state {
        StreamState::Connecting | StreamState::Running | StreamState::Stopped => info!(log, "{message}"),
        StreamState::Stalled | StreamState::Reconnecting => warn!(log, "{message}"),
        StreamState::AuthFailed | StreamState::Unsupported | StreamState::Failed => error!(log, "{message}"),
    }
}
