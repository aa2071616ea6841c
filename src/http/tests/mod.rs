//! The server on a real socket with a real client; the rest of Kinora is played by `fakes`.

mod access;
mod accounts;
mod administration;
mod client;
mod deadlines;
pub(crate) mod fakes;
mod keys;
mod live;
mod pages;
mod replay;
