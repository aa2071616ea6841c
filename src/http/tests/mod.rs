//! The server on a real socket with a real client; the rest of Kinora is played by `fakes`.

mod access;
mod accounts;
mod administration;
mod client;
mod deadlines;
mod every_route;
pub(crate) mod fakes;
mod fanout;
mod guard;
mod keys;
mod live;
mod once;
mod openapi;
mod pages;
mod replay;
mod stream_edit;
