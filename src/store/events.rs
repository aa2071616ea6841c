//! Events as rows: written in batches, once, and read back in order.
//!
//! The same batch may be written again, after a lost answer or a restart: a row is known by its session,
//! number and recording time. `jsonb` keeps numbers to the digit but orders keys anew, so a payload comes
//! back as an equal JSON value and not as the same text. It has no NUL: one in a text comes back as U+FFFD.
//!
//! Batches are written one at a time, whichever server's they are, so that rows become visible in the order of their own
//! numbers: who has read up to one of them has missed none before it.

use std::time::SystemTime;

use tokio_postgres::Row;

use super::error::StoreError;
use super::time::{from_us, to_us};
use super::{Object, Store};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRow {
    /// Session, at most 64 characters.
    pub(crate) session_id: String,
    /// Number in the session.
    pub(crate) seq: i64,
    /// The event's own time, in microseconds since 1970.
    pub(crate) timestamp_us: i64,
    /// When it was made, set once; decides the partition.
    pub(crate) recorded_at_us: i64,
    /// Kind, at most 32 characters.
    pub(crate) event: String,
    /// JSON text.
    pub(crate) payload: String,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Rows that are new.
    pub(crate) inserted: u64,
    /// Rows that PostgreSQL will never take; the others of their batch are in.
    pub(crate) refused: Vec<RefusedRow>,
}

/// A row that PostgreSQL will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedRow {
    /// Its session.
    pub(crate) session_id: String,
    /// Its number.
    pub(crate) seq: i64,
    /// PostgreSQL's reason.
    pub(crate) why: String,
}

/// Names the lock among PostgreSQL's advisory locks: "kinora" and what for.
const LOCK: i64 = 0x6b69_6e6f_7261_0003;

// The lock is had before the first row gets its number, and until the commit. It costs no round trip of its own.
const INSERT: &str = r#"
    with turn as materialized (select pg_advisory_xact_lock($7))
    insert into analysis_results (session_id, seq, "timestamp", recorded_at, event, payload)
    select session_id, seq, at, recorded_at, event, payload::jsonb
    from turn, unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[])
        as batch (session_id, seq, at, recorded_at, event, payload)
    on conflict do nothing"#;

const AFTER: &str = r#"
    select session_id, seq, "timestamp", recorded_at, event, payload::text
    from analysis_results
    where session_id = $1 and seq > $2 and (cardinality($3::text[]) = 0 or event = any ($3))
    order by seq
    limit $4"#;

const LAST: &str = r#"
    select session_id, seq, "timestamp", recorded_at, event, payload::text
    from analysis_results
    where session_id = $1 and event = $2 and seq <= $3
    order by seq desc
    limit 1"#;

impl Store {
    /// Writes a batch in one round trip; rows that are there already are left as they are.
    ///
    /// A row that PostgreSQL cannot take does not hold up the others. A NUL in its texts is replaced, so that no number is
    /// missing; if that is not it (a name too long), the batch is written row by row, and the row is returned as refused.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: write the same batch again. [`StoreError::NotMigrated`].
    pub(crate) async fn insert_events(&self, rows: &[EventRow]) -> Result<Inserted, StoreError> {
        let rows = rows.to_vec();
        self.run(move |client| async move {
            match insert(&client, &rows).await {
                Ok(inserted) => Ok(Inserted { inserted, refused: Vec::new() }),
                Err(error) if is_about_a_row(&error) => insert_mended(&client, rows).await,
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Up to `limit` events of `session` with numbers above `after_seq`, in order; of `kinds` if there are
    /// any.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::NotMigrated`].
    pub(crate) async fn events_after(
        &self,
        session: &str,
        after_seq: i64,
        limit: u32,
        kinds: &[String],
    ) -> Result<Vec<EventRow>, StoreError> {
        let (session, kinds) = (session.to_owned(), kinds.to_vec());
        self.run(move |client| async move {
            let statement = client.prepare_cached(AFTER).await?;
            let rows = client.query(&statement, &[&session, &after_seq, &kinds, &i64::from(limit)]).await?;
            rows.iter().map(event).collect()
        })
        .await
    }

    /// The last event of this kind among those of `session` with numbers up to `upto`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::NotMigrated`].
    pub(crate) async fn last_event(
        &self,
        session: &str,
        kind: &str,
        upto: i64,
    ) -> Result<Option<EventRow>, StoreError> {
        let (session, kind) = (session.to_owned(), kind.to_owned());
        self.run(move |client| async move {
            let row = client.query_opt(LAST, &[&session, &kind, &upto]).await?;
            row.as_ref().map(event).transpose()
        })
        .await
    }

    /// The highest number of `session` that is kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::NotMigrated`].
    pub(crate) async fn last_seq(&self, session: &str) -> Result<Option<i64>, StoreError> {
        self.one_seq("select max(seq) from analysis_results where session_id = $1", session).await
    }

    /// The lowest number of `session` that is kept: what is below it was never stored or fell to retention.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::NotMigrated`].
    pub(crate) async fn oldest_seq(&self, session: &str) -> Result<Option<i64>, StoreError> {
        self.one_seq("select min(seq) from analysis_results where session_id = $1", session).await
    }

    async fn one_seq(&self, query: &'static str, session: &str) -> Result<Option<i64>, StoreError> {
        let session = session.to_owned();
        self.run(move |client| async move {
            let statement = client.prepare_cached(query).await?;
            Ok(client.query_one(&statement, &[&session]).await?.try_get(0)?)
        })
        .await
    }
}

async fn insert(client: &Object, rows: &[EventRow]) -> Result<u64, StoreError> {
    let sessions: Vec<&str> = rows.iter().map(|row| row.session_id.as_str()).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let times: Vec<SystemTime> = rows.iter().map(|row| from_us(row.timestamp_us)).collect();
    let recorded: Vec<SystemTime> = rows.iter().map(|row| from_us(row.recorded_at_us)).collect();
    let events: Vec<&str> = rows.iter().map(|row| row.event.as_str()).collect();
    let payloads: Vec<&str> = rows.iter().map(|row| row.payload.as_str()).collect();
    let statement = client.prepare_cached(INSERT).await?;
    Ok(client.execute(&statement, &[&sessions, &seqs, &times, &recorded, &events, &payloads, &LOCK]).await?)
}

/// Writes a batch of which something was refused.
async fn insert_mended(client: &Object, mut rows: Vec<EventRow>) -> Result<Inserted, StoreError> {
    let mut is_mended = false;
    for row in &mut rows {
        if let Some(payload) = without_nul(&row.payload) {
            row.payload = payload;
            is_mended = true;
        }
    }
    if !is_mended {
        return insert_singly(client, rows).await;
    }
    match insert(client, &rows).await {
        Ok(inserted) => Ok(Inserted { inserted, refused: Vec::new() }),
        Err(error) if is_about_a_row(&error) => insert_singly(client, rows).await,
        Err(error) => Err(error),
    }
}

async fn insert_singly(client: &Object, rows: Vec<EventRow>) -> Result<Inserted, StoreError> {
    let mut outcome = Inserted::default();
    for row in rows {
        match insert(client, std::slice::from_ref(&row)).await {
            Ok(inserted) => outcome.inserted += inserted,
            Err(error) if is_about_a_row(&error) => {
                let EventRow { session_id, seq, .. } = row;
                outcome.refused.push(RefusedRow { session_id, seq, why: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(outcome)
}

/// JSON text with U+FFFD for each NUL, which `jsonb` does not take; `None` if it has none. A backslash that is escaped
/// itself is text, and so is what follows it.
fn without_nul(json: &str) -> Option<String> {
    const NUL: &str = r"\u0000";
    let (mut text, mut rest, mut has_nul) = (String::with_capacity(json.len()), json, false);
    // Outside of strings JSON has no backslash.
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        if let Some(behind) = escape.strip_prefix(NUL) {
            (has_nul, rest) = (true, behind);
            text.push_str(r"\ufffd");
            continue;
        }
        // The backslash and what it escapes.
        let end = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
        let (escaped, behind) = escape.split_at(end);
        text.push_str(escaped);
        rest = behind;
    }
    text.push_str(rest);
    has_nul.then_some(text)
}

/// SQLSTATE class 22 is about data, 23 about constraints, 54 about limits: other rows may be fine.
fn is_about_a_row(error: &StoreError) -> bool {
    let StoreError::Query { code, .. } = error else { return false };
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

fn event(row: &Row) -> Result<EventRow, StoreError> {
    event_at(row, 0)
}

/// An event whose columns begin at number `first`.
pub(super) fn event_at(row: &Row, first: usize) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        session_id: row.try_get(first)?,
        seq: row.try_get(first + 1)?,
        timestamp_us: to_us(row.try_get(first + 2)?),
        recorded_at_us: to_us(row.try_get(first + 3)?),
        event: row.try_get(first + 4)?,
        payload: row.try_get(first + 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_replaced_and_an_escaped_backslash_before_its_digits_is_not() {
        for (json, mended) in [
            (r#"{"a":"\u0000"}"#, Some(r#"{"a":"\ufffd"}"#)),
            (r#"{"a":"x\u0000\u0000y","\u0000":1}"#, Some(r#"{"a":"x\ufffd\ufffdy","\ufffd":1}"#)),
            (r#"{"a":"\\\u0000 \" é"}"#, Some(r#"{"a":"\\\ufffd \" é"}"#)),
            (r#"{"a":"\\u0000"}"#, None),
            (r#"{"a":"\\\\u0000 \u00000"}"#, Some(r#"{"a":"\\\\u0000 \ufffd0"}"#)),
            (r#"{"a":"\u00e9\n\ud83d\ude00","b":[]}"#, None),
            (r"cut off \", None),
        ] {
            assert_eq!(without_nul(json).as_deref(), mended, "{json}");
        }
    }
}
