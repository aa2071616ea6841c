//! Cameras over RTSP: from an address to access units whose times can be trusted.
//!
//! A leaf: it knows neither the pipeline nor a decoder. [`Client`] blocks and wants a thread of its own; all that it
//! decides is done by pure parts without input or output.
//!
//! ```no_run
//! use kinora_rtsp::{Address, AuthPolicy, CancelToken, Client, Credentials, Options};
//! let address = Address::parse("rtsp://camera.example/stream1")?;
//! let credentials = Some(Credentials::new("viewer", "secret"));
//! let options = Options { credentials, auth: AuthPolicy::Digest, ..Options::default() };
//! let mut client = Client::open(&address, &options, &CancelToken::default())?;
//! while let Some(unit) = client.next()? {
//!     println!("{} bytes, taken at {:?}", unit.data.len(), unit.stamp.capture);
//! }
//! # Ok::<(), kinora_rtsp::Error>(())
//! ```
//!
//! - [`Address`] is parsed once; its `Display` never shows a password.
//! - [`AuthPolicy`] chooses the strategy that answers a server's challenge; `Digest` never becomes Basic.
//! - [`describe`] asks a server what it has, and plays nothing.
//! - [`AccessUnit`] is what a decoder takes, with a [`Stamp`]: media time, epoch and [`Capture`] time.
//! - [`TransportReader`] gives the bytes of a transport stream to a demultiplexer.
//! - [`Unwrapper`], [`StreamClock`] and [`HostClock`] are the clocks by themselves.
//! - [`Error`] says who, what and where; its [`ErrorKind`] decides what to do.

#![forbid(unsafe_code)]

mod address;
mod auth;
mod cancel;
mod connection;
mod depacketise;
mod describe;
mod error;
mod message;
mod options;
mod profile;
mod receiver;
mod rtp;
mod sdp;
mod session;
mod text;
mod time;
mod tls;
mod transport_reader;

pub use address::Address;
pub use auth::{AuthPolicy, Credentials};
pub use cancel::CancelToken;
pub use describe::Description;
pub use error::{Error, ErrorKind};
pub use options::{Options, Reach};
pub use receiver::{AccessUnit, Counts};
pub use sdp::{Codec, Track};
pub use session::{Client, describe};
pub use time::{Capture, ClockSource, HostClock, Stamp, StreamClock, Unwrapper};
pub use tls::Trust;
pub use transport_reader::{TransportReader, TransportStatus};

/// A client moves to the thread that reads from it.
const _: () = {
    const fn moved<T: Send>() {}
    moved::<(Client, TransportReader, AccessUnit, Error)>();
};
