//! Events by what they are about, page by page, in the order in which they were stored.

use super::Store;
use super::error::StoreError;
use super::events::{EventRow, event_at};
use super::time::from_us;

/// Which events; what is absent excludes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventQuery {
    /// Ids of sessions.
    pub(crate) sessions: Option<Vec<String>>,
    /// Names of streams.
    pub(crate) streams: Option<Vec<String>>,
    /// Names of streams that are kept from the caller.
    pub(crate) hidden: Vec<String>,
    /// Kinds.
    pub(crate) kinds: Option<Vec<String>>,
    /// From this time on, in microseconds since 1970.
    pub(crate) from_us: Option<i64>,
    /// Before this time.
    pub(crate) to_us: Option<i64>,
    /// After the row with this number.
    pub(crate) after: i64,
    /// At most so many.
    pub(crate) limit: u32,
}

// Planned anew for each question: what is absent is folded away, and the indexes fit what is left.
const PAGE: &str = r#"
    select id, session_id, seq, "timestamp", recorded_at, event, payload::text
    from analysis_results
    where id > $1
        and ($2::text[] is null or session_id = any ($2))
        and ($3::text[] is null or payload->>'stream' = any ($3))
        and (cardinality($4::text[]) = 0 or payload->>'stream' <> all ($4))
        and ($5::text[] is null or event = any ($5))
        and ($6::timestamptz is null or "timestamp" >= $6)
        and ($7::timestamptz is null or "timestamp" < $7)
    order by id
    limit $8"#;

impl Store {
    /// A page of events, each with its row's number, which is where the next page goes on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn query_events(&self, query: EventQuery) -> Result<Vec<(i64, EventRow)>, StoreError> {
        self.run(move |client| async move {
            let EventQuery { sessions, streams, hidden, kinds, after, limit, .. } = &query;
            let (from, to) = (query.from_us.map(from_us), query.to_us.map(from_us));
            let limit = i64::from(*limit);
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
                [after, sessions, streams, hidden, kinds, &from, &to, &limit];
            let rows = client.query(PAGE, &values).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, event_at(row, 1)?))).collect()
        })
        .await
    }
}
