//! What a server says about itself and what it has; for people and for programs that choose.

use std::time::Duration;

use crate::sdp::Track;

/// The answer to "what is there?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Where the way ended, redirects included; without credentials.
    pub address: String,
    /// What the server calls itself.
    pub server: Option<String>,
    /// The methods that it says it understands.
    pub methods: Option<String>,
    /// The ways to authenticate that it offers, `Digest (SHA-256)` for example; empty when it asked for none.
    pub authentication: Vec<String>,
    /// Its tracks, in its order.
    pub tracks: Vec<Track>,
    /// The place of the track that would be played.
    pub chosen: Option<usize>,
    /// How quickly it answers.
    pub round_trip: Option<Duration>,
}
