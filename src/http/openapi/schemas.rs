//! Schemas of what is not described beside a route: texts with rules of their own, and the wire forms of types that
//! belong to the pipeline, which knows no OpenAPI.
//!
//! The types here are never made: the document is written from their attributes.
#![allow(dead_code)] // For that reason.

use std::collections::BTreeMap;

use kinora_actors::domain::EventKind;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::accounts::Permission;

/// A name in an address: a user, a stream.
#[derive(ToSchema)]
#[schema(pattern = "^[A-Za-z0-9._-]+$", min_length = 1, max_length = 64, example = "front-door")]
pub(in crate::http) struct Name(String);

/// The name of a role.
#[derive(ToSchema)]
#[schema(pattern = "^[A-Za-z0-9._-]+$", min_length = 1, max_length = 32, example = "operator")]
pub(in crate::http) struct RoleName(String);

/// A name for people; no control characters.
#[derive(ToSchema)]
#[schema(
    pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
    min_length = 1,
    max_length = 64,
    example = "lobby screen"
)]
pub(in crate::http) struct Label(String);

/// A mail address; only what every address has is asked for.
#[derive(ToSchema)]
#[schema(
    pattern = "^[^@\\s,;<>\\u0000-\\u001f]+@[^@\\s,;<>\\u0000-\\u001f]+$",
    max_length = 255,
    example = "olga@example.org"
)]
pub(in crate::http) struct Email(String);

/// A new password: at least 8 characters, at most 72 bytes.
#[derive(ToSchema)]
#[schema(format = "password", min_length = 8, max_length = 72, example = "correct horse battery")]
pub(in crate::http) struct NewPassword(String);

/// A time of RFC 3339 in UTC with microseconds.
#[derive(ToSchema)]
#[schema(format = DateTime, example = "2026-11-22T05:11:05.123456Z")]
pub(in crate::http) struct Time(String);

/// State of a stream.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(in crate::http) enum StateName {
    Connecting,
    Running,
    Stalled,
    Reconnecting,
    AuthFailed,
    Unsupported,
    Stopped,
    Failed,
}

/// Frames by what became of them. `received` is the sum of all others, those in flight included.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct FrameAccount {
    /// Access units offered to the decoder.
    received: u64,
    /// Frames with a `frameAnalyzed` event.
    analyzed: u64,
    /// Frames left out by `everyNth` or `maxFps`.
    skipped: u64,
    /// Frames lost, by reason; reasons that did not occur are left out.
    dropped: BTreeMap<String, u64>,
    /// Received and not yet accounted for.
    in_flight: u64,
}

/// Percentiles of the latency, in milliseconds.
#[derive(ToSchema)]
pub(in crate::http) struct Latency {
    /// Start of preprocessing to keypoints ready.
    extraction: Percentiles,
    /// Start of decoding to event written.
    total: Percentiles,
}

/// Milliseconds below which a share of the frames lies.
#[derive(ToSchema)]
pub(in crate::http) struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

/// A kind of events, written from the kinds that there are.
pub(in crate::http) struct EventName;

impl ToSchema for EventName {}

impl PartialSchema for EventName {
    fn schema() -> RefOr<Schema> {
        one_of("A kind of events.", EventKind::ALL.map(EventKind::name))
    }
}

impl ToSchema for Permission {}

impl PartialSchema for Permission {
    fn schema() -> RefOr<Schema> {
        one_of("Something that a role allows.", Permission::ALL.map(Permission::name))
    }
}

fn one_of<const N: usize>(description: &str, names: [&'static str; N]) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    text.description(Some(description)).enum_values(Some(names)).into()
}
