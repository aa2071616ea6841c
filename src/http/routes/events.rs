//! Stored events: by page as JSON, or all of them as NDJSON or CSV.
//!
//! An export reads page by page while it is sent, so its size does not matter here. It ends with the event that was the
//! newest when it began.

use std::collections::VecDeque;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Query};
use actix_web::{HttpRequest, HttpResponse, error};
use futures_util::{Stream, stream};
use kinora_actors::domain::{EventKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::exports::Place;
use super::fields;
use crate::accounts::Permission;
use crate::http::app::App;
use crate::http::auth::Caller;
use crate::http::openapi::schemas::{EventName, Time};
use crate::http::problem::ApiError;
use crate::store::{EventQuery, EventRow};

/// Events of a page, unless the caller wants fewer or more.
const PAGE: u32 = 100;
/// Events of the largest page, and of each step of an export.
const LARGEST_PAGE: u32 = 1_000;
/// Bytes of a piece of an export, unless one event has more: few, so that who reads slowly is seen to read.
const PIECE: usize = 64 * 1024;
/// The columns of a CSV export.
const COLUMNS: &str = "sessionId,timestamp,event,seq,stream,payload\r\n";

/// Which events, and in which form.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct EventsQuery {
    /// Ids of sessions, commas between.
    #[param(nullable = false)]
    session: Option<String>,
    /// Names of streams, commas between.
    #[param(nullable = false, example = "front-door")]
    stream: Option<String>,
    /// Kinds, commas between.
    #[param(nullable = false, example = "frameAnalyzed")]
    event: Option<String>,
    /// From this time on, RFC 3339.
    #[param(nullable = false, format = DateTime)]
    from: Option<String>,
    /// Before this time.
    #[param(nullable = false, format = DateTime)]
    to: Option<String>,
    /// Where the last page ended.
    #[param(nullable = false, minimum = 0)]
    cursor: Option<i64>,
    /// Events of the page.
    #[param(nullable = false, minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `json`, `ndjson` or `csv`.
    #[param(nullable = false, pattern = "^(json|ndjson|csv)$", default = "json")]
    format: Option<String>,
}

/// An event as it was sent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventShown {
    session_id: String,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
    #[schema(value_type = EventName)]
    event: String,
    /// As in the JSON Schema at `/api/v1/schemas/event.json`.
    #[schema(value_type = Object)]
    payload: Value,
}

/// A page of events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventPage {
    events: Vec<EventShown>,
    /// Where the next page goes on; absent at the end.
    next_cursor: Option<i64>,
}

/// How events are exported.
#[derive(Clone, Copy)]
enum Form {
    Ndjson,
    Csv,
}

/// Stored events, oldest first.
///
/// `format=json` gives a page; `ndjson` and `csv` give all events that are stored when the export begins. One that breaks
/// off is not whole: the database went away, the caller may not see these events any more, or nothing was read for half a
/// minute.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", security(("bearer" = ["watch"])), params(EventsQuery),
    responses(
        (status = 200, description = "A page, or all events as lines.", content(
            (EventPage = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, description = "`invalid_query`."),
        (status = 429, description = "`too_many_requests`; `too_many_exports`: one user or key has two at once.",
            headers(("retry-after" = u32, description = "Seconds to wait"))),
    )
)]
pub(in crate::http) async fn events(
    app: web::Data<App>,
    caller: Caller,
    request: HttpRequest,
    query: Query<EventsQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(Permission::Watch)?;
    let query = query.into_inner();
    let form = match query.format.as_deref() {
        None | Some("json") => None,
        Some("ndjson") => Some(Form::Ndjson),
        Some("csv") => Some(Form::Csv),
        Some(_) => return Err(bad("format= is json, ndjson or csv.")),
    };
    let wanted = query.wanted(&caller)?;
    match form {
        None => page(&app, wanted).await,
        Some(form) => {
            let place = app.exports.begin(&caller, &request)?;
            export(app, caller, place, wanted, form).await
        }
    }
}

async fn page(app: &App, wanted: EventQuery) -> Result<HttpResponse, ApiError> {
    let limit = wanted.limit as usize;
    let rows = app.store(app.store.query_events(wanted)).await?;
    let next_cursor = rows.last().map(|(id, _)| *id).filter(|_| rows.len() == limit);
    let events = rows.into_iter().map(|(_, row)| EventShown::from(row)).collect();
    Ok(HttpResponse::Ok().json(EventPage { events, next_cursor }))
}

/// The first step is read before the answer begins, so that a database that is away is a 503.
async fn export(
    app: web::Data<App>,
    caller: Caller,
    place: Place,
    wanted: EventQuery,
    form: Form,
) -> Result<HttpResponse, ApiError> {
    // What is stored meanwhile is no part of it: it could be as much as is sent.
    let upto = app.store(app.store.newest_row()).await?;
    let wanted = EventQuery { upto: Some(upto), limit: LARGEST_PAGE, ..wanted };
    let (rows, head) = (VecDeque::new(), matches!(form, Form::Csv));
    let mut export = Export { app, caller, place, wanted, form, rows, is_read: false, head };
    export.read_on().await?;
    let (kind, name) = match form {
        Form::Ndjson => ("application/x-ndjson", "attachment; filename=\"events.ndjson\""),
        Form::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"events.csv\""),
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, kind)).insert_header((CONTENT_DISPOSITION, name));
    Ok(response.streaming(export.pieces()))
}

/// How often a step of an export is read; each takes its time when the database is busy.
const MOST_TRIES: u32 = 3;

struct Export {
    app: web::Data<App>,
    caller: Caller,
    place: Place,
    wanted: EventQuery,
    form: Form,
    /// What was read and is still to be sent.
    rows: VecDeque<(i64, EventRow)>,
    /// Whether the last events were read.
    is_read: bool,
    /// Whether the names of the columns are still to be sent.
    head: bool,
}

impl Export {
    fn pieces(self) -> impl Stream<Item = Result<Bytes, error::Error>> {
        stream::unfold(Some(self), |export| async move {
            let mut export = export?;
            match export.next_piece().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(export))),
                Ok(None) => None,
                // What was sent is sent: a broken transfer is how a client learns that it is not all.
                Err(error) => Some((Err(error.into()), None)),
            }
        })
    }

    /// The next piece; nothing at the end.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, ApiError> {
        self.place.took();
        if self.rows.is_empty() && !self.is_read {
            self.check_right().await?;
            // What was sent so far need not be for nothing because the database was busy for a moment.
            let mut tries = 1;
            while let Err(error) = self.read_on().await {
                if tries == MOST_TRIES {
                    return Err(error);
                }
                tries += 1;
            }
        }
        let piece = self.piece();
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn piece(&mut self) -> Bytes {
        let mut text = String::new();
        if std::mem::take(&mut self.head) {
            text.push_str(COLUMNS);
        }
        while text.len() < PIECE {
            let Some((id, row)) = self.rows.pop_front() else { break };
            self.wanted.after = id;
            match self.form {
                Form::Ndjson => text.push_str(&ndjson(row)),
                Form::Csv => text.push_str(&csv(&row)),
            }
        }
        Bytes::from(text)
    }

    async fn read_on(&mut self) -> Result<(), ApiError> {
        let rows = self.app.store(self.app.store.query_events(self.wanted.clone())).await?;
        self.is_read = rows.len() < LARGEST_PAGE as usize;
        self.rows = rows.into();
        Ok(())
    }

    /// Goes on unless the account, the key or the login is gone, or what they may see has changed. That a token expires
    /// meanwhile does not count: it was good for this request.
    async fn check_right(&self) -> Result<(), ApiError> {
        // A database that is away takes no right from anyone.
        let known = self.app.known(&self.caller.who).await;
        if known.is_ok_and(|known| !self.caller.is_still_good(known)) {
            return Err(ApiError::forbidden());
        }
        Ok(())
    }
}

impl EventsQuery {
    fn wanted(&self, caller: &Caller) -> Result<EventQuery, ApiError> {
        let streams = list(self.stream.as_deref())?;
        let kinds = list(self.event.as_deref())?;
        if !kinds.iter().flatten().all(|name| EventKind::from_name(name).is_some()) {
            return Err(bad("event= names a kind that does not exist."));
        }
        Ok(EventQuery {
            sessions: list(self.session.as_deref())?,
            streams: within(streams, caller.scope.streams.as_ref()),
            hidden: caller.identity.hidden.clone(),
            kinds: within(kinds, caller.scope.events.as_ref()),
            from_us: self.from.as_deref().map(time).transpose()?,
            to_us: self.to.as_deref().map(time).transpose()?,
            after: self.cursor.unwrap_or(0),
            upto: None,
            limit: fields::limit(self.limit, PAGE, LARGEST_PAGE)?,
        })
    }
}

fn list(text: Option<&str>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    if names.len() > 64 || names.iter().any(|name| name.is_empty() || name.contains('\0')) {
        return Err(bad("A list has 1 to 64 names with commas between."));
    }
    Ok(Some(names))
}

/// What was asked for, as far as the limits of a key allow it.
fn within(asked: Option<Vec<String>>, limits: Option<&Vec<String>>) -> Option<Vec<String>> {
    match (asked, limits) {
        (asked, None) => asked,
        (None, Some(limits)) => Some(limits.clone()),
        (Some(asked), Some(limits)) => Some(asked.into_iter().filter(|one| limits.contains(one)).collect()),
    }
}

/// The beginning of the year 1. The database knows times before it, but not all that can be written.
const YEAR_1_US: i64 = -62_135_596_800_000_000;

fn time(text: &str) -> Result<i64, ApiError> {
    let time: Option<jiff::Timestamp> = text.parse().ok();
    let time = time.map(jiff::Timestamp::as_microsecond).filter(|time| *time >= YEAR_1_US);
    time.ok_or(bad("from= and to= are times as in RFC 3339, from the year 1 on."))
}

fn bad(detail: &'static str) -> ApiError {
    ApiError::bad_request("invalid_query", detail)
}

fn ndjson(row: EventRow) -> String {
    let shown = serde_json::to_string(&EventShown::from(row));
    shown.expect("an event should have only string keys and a sane time") + "\n"
}

fn csv(row: &EventRow) -> String {
    let payload: Value = serde_json::from_str(&row.payload).unwrap_or_default();
    let time = jiff::Timestamp::from_microsecond(row.timestamp_us).unwrap_or_default();
    let fields = [
        row.session_id.clone(),
        format!("{time:.6}"),
        row.event.clone(),
        row.seq.to_string(),
        payload["stream"].as_str().unwrap_or_default().to_owned(),
        row.payload.clone(),
    ];
    fields.map(|field| quoted(&field)).join(",") + "\r\n"
}

/// RFC 4180. What a spreadsheet would take for a formula is made text.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t']);
    let text = if formula { format!("'{field}") } else { field.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

impl From<EventRow> for EventShown {
    fn from(row: EventRow) -> Self {
        Self {
            session_id: row.session_id,
            timestamp: Timestamp(row.timestamp_us),
            event: row.event,
            // The database keeps it as JSON.
            payload: serde_json::from_str(&row.payload).unwrap_or_default(),
        }
    }
}
