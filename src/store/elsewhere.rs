//! What other servers stored: which of their sessions there are, and how far the rows of each go.

use super::Store;
use super::error::StoreError;

/// How far the rows of a session go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionExtent {
    /// The session.
    pub(crate) session: String,
    /// The highest number that is stored.
    pub(crate) last: u64,
}

/// What a server leaves out when it asks what others stored: its own.
#[derive(Clone, Debug)]
pub(crate) struct KnownHere {
    /// Its identity, which its sessions carry.
    pub(crate) owner: String,
    /// Sessions of earlier processes that its journal had when it was opened.
    pub(crate) recovered: Vec<String>,
}

// Those that run, and those that ended a while ago: a listener that was away for seconds finds their last rows.
const ELSEWHERE: &str = "
    select id, (select max(seq) from analysis_results where session_id = sessions.id) as last
    from sessions
    where (ended_at is null or ended_at > clock_timestamp() - interval '10 minutes')
        and provenance #>> '{lease,owner}' is distinct from $1 and id <> all ($2::text[])";

impl Store {
    /// The sessions of others that run or ended within the last ten minutes and have rows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn sessions_elsewhere(
        &self,
        here: &KnownHere,
    ) -> Result<Vec<SessionExtent>, StoreError> {
        let KnownHere { owner, recovered } = here.clone();
        self.run(move |client| async move {
            let statement = client.prepare_cached(ELSEWHERE).await?;
            let rows = client.query(&statement, &[&owner, &recovered]).await?;
            let mut extents = Vec::new();
            for row in rows {
                if let Some(last) = row.try_get::<_, Option<i64>>(1)? {
                    extents.push(SessionExtent { session: row.try_get(0)?, last: number(last) });
                }
            }
            Ok(extents)
        })
        .await
    }

    /// The number of the newest row of all. Rows of later commits have higher ones; only those of a server of an older
    /// version, which does not wait for its turn, may have lower ones.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn newest_row(&self) -> Result<i64, StoreError> {
        self.run(|client| async move {
            let query = "select coalesce(max(id), 0) from analysis_results";
            Ok(client.query_one(query, &[]).await?.try_get(0)?)
        })
        .await
    }

    /// The highest number of `session` among the rows up to the row `newest`; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn last_seq_up_to_row(&self, session: &str, newest: i64) -> Result<u64, StoreError> {
        let session = session.to_owned();
        self.run(move |client| async move {
            let query =
                "select coalesce(max(seq), 0) from analysis_results where session_id = $1 and id <= $2";
            Ok(number(client.query_one(query, &[&session, &newest]).await?.try_get(0)?))
        })
        .await
    }
}

/// Numbers of events begin at 1.
fn number(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
