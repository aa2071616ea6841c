//! Sessions: one row for each analysis run of a stream, kept after it ends.

use tokio_postgres::Row;

use super::Store;
use super::error::StoreError;
use super::time::{from_us, to_us};

/// A session. Writing one again updates what grows: provenance, account, last number, epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRow {
    /// Identity, at most 64 characters.
    pub(crate) id: String,
    /// Name of the stream.
    pub(crate) stream: String,
    /// Start, in microseconds since 1970.
    pub(crate) started_at_us: i64,
    /// How and when it ended, if it did.
    pub(crate) end: Option<SessionEnd>,
    /// JSON text: model, device, configuration revision.
    pub(crate) provenance: String,
    /// JSON text: the account of frames.
    pub(crate) account: String,
    /// Highest event number.
    pub(crate) last_seq: i64,
    /// Stretch of one media clock.
    pub(crate) epoch: i32,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionEnd {
    /// When, in microseconds since 1970.
    pub(crate) at_us: i64,
    /// Why, at most 64 characters.
    pub(crate) reason: String,
}

// Numbers and epochs only grow: a late writer must not take them back.
const UPSERT: &str = "
    insert into sessions (id, stream, started_at, ended_at, end_reason, provenance, account, last_seq, epoch)
    values ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb, $8, $9)
    on conflict (id) do update set
        ended_at = coalesce(excluded.ended_at, sessions.ended_at),
        end_reason = coalesce(excluded.end_reason, sessions.end_reason),
        provenance = excluded.provenance,
        account = excluded.account,
        last_seq = greatest(sessions.last_seq, excluded.last_seq),
        epoch = greatest(sessions.epoch, excluded.epoch)";

// Events are the truth about the last number of a session that nobody closed.
const CLOSE_OPEN: &str = "
    update sessions set ended_at = $1, end_reason = $2, last_seq = greatest(last_seq, coalesce(
        (select max(seq) from analysis_results where session_id = sessions.id), 0))
    where ended_at is null
    returning id";

// A session is in force as long as its stream's lease has its fence and is not over. One that is not may still get
// the events that its server had journalled, so it is left open as long as its last event is young.
const CLOSE_LOST: &str = "
    update sessions s set ended_at = $1, end_reason = $2, last_seq = greatest(last_seq, coalesce(
        (select max(seq) from analysis_results where session_id = s.id), 0))
    where ended_at is null
        and not exists (
            select from stream_leases l where l.stream = s.stream and l.lease_until > clock_timestamp()
                and l.fence = coalesce((s.provenance #>> '{lease,fence}')::bigint, 0))
        and greatest(s.started_at,
            (select max(recorded_at) from analysis_results where session_id = s.id)) < $3
    returning id";

// The row of a session that runs is as old as its beginning; what is stored of it tells how far it is.
const LIST: &str = "
    select id, stream, started_at, ended_at, end_reason, provenance::text, account::text,
        case when ended_at is null then greatest(last_seq, coalesce(
            (select max(seq) from analysis_results where session_id = sessions.id), 0)) else last_seq end, epoch
    from sessions
    where ($1::text[] is null or stream = any ($1)) and stream <> all ($2::text[]) and ($3::text is null or id = $3)
    order by started_at desc, id desc
    limit $4";

impl Store {
    /// Writes a session, new or known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Query`] for text that is not JSON or is too long.
    pub(crate) async fn upsert_session(&self, session: &SessionRow) -> Result<(), StoreError> {
        let row = session.clone();
        self.run(move |client| async move {
            let started_at = from_us(row.started_at_us);
            let ended_at = row.end.as_ref().map(|end| from_us(end.at_us));
            let reason = row.end.as_ref().map(|end| &end.reason);
            let statement = client.prepare_cached(UPSERT).await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
                &row.id,
                &row.stream,
                &started_at,
                &ended_at,
                &reason,
                &row.provenance,
                &row.account,
                &row.last_seq,
                &row.epoch,
            ];
            client.execute(&statement, &values).await?;
            Ok(())
        })
        .await
    }

    /// Ends a session with its final account and number; one that has ended keeps its first end.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub(crate) async fn close_session(
        &self,
        id: &str,
        end: &SessionEnd,
        account: &str,
        last_seq: i64,
    ) -> Result<(), StoreError> {
        let (id, end, account) = (id.to_owned(), end.clone(), account.to_owned());
        self.run(move |client| async move {
            let query = "update sessions set ended_at = coalesce(ended_at, $2),
                end_reason = coalesce(end_reason, $3), account = $4::text::jsonb, last_seq = greatest(last_seq, $5)
                where id = $1";
            let at = from_us(end.at_us);
            match client.execute(query, &[&id, &at, &end.reason, &account, &last_seq]).await? {
                0 => Err(StoreError::NotFound { what: format!("session {id}") }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Ends all sessions that an earlier process left open; returns their ids.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn close_open_sessions(&self, end: &SessionEnd) -> Result<Vec<String>, StoreError> {
        let end = end.clone();
        self.run(move |client| async move {
            let rows = client.query(CLOSE_OPEN, &[&from_us(end.at_us), &end.reason]).await?;
            rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
        .await
    }

    /// Ends the sessions whose servers are lost and of which nothing was recorded since `before_us`; returns their
    /// ids. Those that run under a lease in force are left alone, whoever has it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn close_lost_sessions(
        &self,
        end: &SessionEnd,
        before_us: i64,
    ) -> Result<Vec<String>, StoreError> {
        let end = end.clone();
        self.run(move |client| async move {
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&from_us(end.at_us), &end.reason, &from_us(before_us)];
            let rows = client.query(CLOSE_LOST, &values).await?;
            rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
        .await
    }

    /// Up to `limit` sessions, newest first; of these streams if they are given, and of none that is `hidden`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn list_sessions(
        &self,
        streams: Option<Vec<String>>,
        hidden: Vec<String>,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        self.sessions((streams, hidden), None, limit).await
    }

    /// The session `id`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn find_session(&self, id: &str) -> Result<Option<SessionRow>, StoreError> {
        Ok(self.sessions((None, Vec::new()), Some(id.to_owned()), 1).await?.pop())
    }

    async fn sessions(
        &self,
        (streams, hidden): (Option<Vec<String>>, Vec<String>),
        id: Option<String>,
        limit: u32,
    ) -> Result<Vec<SessionRow>, StoreError> {
        self.run(move |client| async move {
            let rows = client.query(LIST, &[&streams, &hidden, &id, &i64::from(limit)]).await?;
            rows.iter().map(session).collect()
        })
        .await
    }
}

fn session(row: &Row) -> Result<SessionRow, StoreError> {
    let ended_at: Option<_> = row.try_get(3)?;
    let reason: Option<String> = row.try_get(4)?;
    Ok(SessionRow {
        id: row.try_get(0)?,
        stream: row.try_get(1)?,
        started_at_us: to_us(row.try_get(2)?),
        end: ended_at.map(|at| SessionEnd { at_us: to_us(at), reason: reason.unwrap_or_default() }),
        provenance: row.try_get(5)?,
        account: row.try_get(6)?,
        last_seq: row.try_get(7)?,
        epoch: row.try_get(8)?,
    })
}
