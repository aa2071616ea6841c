//! Why a subscription ends, as a close code and as a stable word for metrics and the log.

/// Why a subscription ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client is gone, by a close frame or without.
    PeerGone,
    /// Nothing follows in the one session that was asked for.
    SessionOver,
    /// The token's time is over.
    TokenExpired,
    /// The account lost its right.
    Revoked,
    /// It took nothing for too long.
    TooSlow,
    /// It answered no ping.
    PongMissed,
    /// The server stops.
    ShuttingDown,
    /// Events that were asked for could not be read now.
    HistoryAway,
}

impl End {
    /// The code of the close frame.
    pub(super) const fn code(self) -> u16 {
        match self {
            End::PeerGone | End::SessionOver => 1000,
            End::ShuttingDown => 1001,
            // "Try again later" in IANA's registry.
            End::HistoryAway => 1013,
            End::TokenExpired | End::Revoked => 4401,
            End::TooSlow | End::PongMissed => 4408,
        }
    }

    /// The word.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            End::PeerGone => "peer_gone",
            End::SessionOver => "session_over",
            End::TokenExpired => "token_expired",
            End::Revoked => "token_revoked",
            End::TooSlow => "too_slow",
            End::PongMissed => "pong_missed",
            End::ShuttingDown => "shutting_down",
            End::HistoryAway => "history_unavailable",
        }
    }
}
