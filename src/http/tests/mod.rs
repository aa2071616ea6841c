//! The server on a real socket with a real client; the rest of Kinora is played by `fakes`.

mod access;
mod client;
mod deadlines;
pub(crate) mod fakes;
mod live;
mod pages;
mod replay;
