//! Who changed what, and who was refused: written once, read by page, never changed.

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::Store;
use super::error::StoreError;
use super::time::to_us;

/// Something to be written down. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditEntry {
    /// Who it was; for a refused login the name that was tried.
    pub(crate) actor: String,
    /// What, such as `stream.create`.
    pub(crate) action: &'static str,
    /// To what, by name.
    pub(crate) target: String,
    /// Whether it was done or refused.
    pub(crate) done: bool,
    /// From which address of the network.
    pub(crate) address: Option<String>,
    /// The request's id, as in the log.
    pub(crate) request_id: Option<String>,
}

/// Something that was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuditRow {
    /// Its number; later ones are greater.
    pub(crate) id: i64,
    /// When, in microseconds since 1970.
    pub(crate) at_us: i64,
    /// Who it was.
    pub(crate) actor: String,
    /// What.
    pub(crate) action: String,
    /// To what.
    pub(crate) target: String,
    /// `done` or `refused`.
    pub(crate) outcome: String,
    /// From which address.
    pub(crate) address: Option<String>,
    /// The request's id.
    pub(crate) request_id: Option<String>,
}

const PAGE: &str = "
    select id, at, actor::text, action::text, target::text, outcome::text, address::text, request_id::text
    from audit_log
    where ($1::bigint is null or id < $1) and ($2::text is null or actor = $2) and ($3::text is null or action = $3)
    order by id desc
    limit $4";

impl AuditEntry {
    /// What was done with the command line, by whoever may use it.
    pub(crate) fn of_command_line(action: &'static str, target: &str) -> Self {
        let target = target.to_owned();
        Self { actor: "command line".into(), action, target, done: true, address: None, request_id: None }
    }
}

impl Store {
    /// Writes an entry; texts that are too long are cut.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.run(move |client| async move { note(&client, Some(&entry)).await }).await
    }

    /// Entries below number `before`, newest first; of one actor or one action if they are given.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn audit_page(
        &self,
        before: Option<i64>,
        actor: Option<String>,
        action: Option<String>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.run(move |client| async move {
            let rows = client.query(PAGE, &[&before, &actor, &action, &i64::from(limit)]).await?;
            rows.iter().map(entry).collect()
        })
        .await
    }
}

/// Writes an entry, if there is one, beside what it is about: in one transaction both are there or neither.
pub(super) async fn note(client: &impl GenericClient, entry: Option<&AuditEntry>) -> Result<(), StoreError> {
    let Some(AuditEntry { actor, action, target, done, address, request_id }) = entry else { return Ok(()) };
    let insert = "insert into audit_log (actor, action, target, outcome, address, request_id)
        values (left($1, 128), $2, left($3, 255), $4, left($5, 64), left($6, 64))";
    let outcome = if *done { "done" } else { "refused" };
    // PostgreSQL's text has no NUL; what somebody tried may have one.
    let (actor, target) = (actor.replace('\0', ""), target.replace('\0', ""));
    client.execute(insert, &[&actor, action, &target, &outcome, address, request_id]).await?;
    Ok(())
}

fn entry(row: &Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        id: row.try_get(0)?,
        at_us: to_us(row.try_get(1)?),
        actor: row.try_get(2)?,
        action: row.try_get(3)?,
        target: row.try_get(4)?,
        outcome: row.try_get(5)?,
        address: row.try_get(6)?,
        request_id: row.try_get(7)?,
    })
}
