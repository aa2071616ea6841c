//! Streams that operators make: with a sealed address, a revision that grows, and the roles that see them.

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::audit::{AuditEntry, note};
use super::error::StoreError;
use super::{Store, retired};

/// A stream as operators see it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ManagedStream {
    /// Number of the row; a stream that is made anew under an old name has another one.
    pub(crate) id: i64,
    /// Name, unique.
    pub(crate) name: String,
    /// Where its video comes from, without credentials.
    pub(crate) address: String,
    /// JSON text: everything else.
    pub(crate) settings: String,
    /// Whether config.toml owns it.
    pub(crate) managed_by_config: bool,
    /// Whether it may run.
    pub(crate) enabled: bool,
    /// Whether it was started or stopped last.
    pub(crate) wanted: bool,
    /// The address with its credentials, sealed; absent for a stream of config.toml.
    pub(crate) sealed_source: Option<Vec<u8>>,
    /// Grows with each change.
    pub(crate) revision: i64,
    /// Grows with each order to start.
    pub(crate) starts: i64,
    /// Grows with each order to restart.
    pub(crate) restarts: i64,
    /// The only roles that see it; none means all.
    pub(crate) roles: Vec<String>,
}

/// What an operator orders of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamWish {
    /// Run; one that may not run may from now on.
    Start,
    /// Do not run.
    Stop,
    /// The same as a start, in a new session.
    Restart,
}

/// What an operator says of a stream.
#[derive(Clone)]
pub(crate) struct StreamSpec {
    /// Where its video comes from, without credentials.
    pub(crate) address: String,
    /// The same with credentials, sealed.
    pub(crate) sealed_source: Vec<u8>,
    /// JSON text: everything else.
    pub(crate) settings: String,
    /// Whether it may run.
    pub(crate) enabled: bool,
    /// The only roles that see it; none means all.
    pub(crate) roles: Vec<String>,
}

const SELECT: &str = "
    select s.name::text, s.address, s.settings::text, s.managed_by_config, s.enabled,
        s.desired_state = 'running', s.sealed_source, s.revision,
        coalesce((select array_agg(r.name::text order by r.name) from stream_roles sr
            join roles r on r.id = sr.role_id where sr.stream_id = s.id), '{}'),
        s.starts, s.restarts, s.id
    from streams s
    where $1::text is null or s.name = $1
    order by s.name";

impl Store {
    /// The stream of this name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn find_stream(&self, name: &str) -> Result<Option<ManagedStream>, StoreError> {
        Ok(self.managed(Some(name.to_owned())).await?.pop())
    }

    /// All streams by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn managed_streams(&self) -> Result<Vec<ManagedStream>, StoreError> {
        self.managed(None).await
    }

    /// Makes a stream. Who sees it sees what is left of one of its name that was deleted.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a name that is taken, [`StoreError::NotFound`] for a role that there is not,
    /// [`StoreError::Unavailable`].
    pub(crate) async fn create_stream(
        &self,
        name: &str,
        spec: StreamSpec,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let insert = "insert into streams (name, address, settings, enabled, sealed_source)
                values ($1, $2, $3::text::jsonb, $4, $5) returning id";
            let StreamSpec { address, sealed_source, settings, enabled, roles } = &spec;
            let row =
                transaction.query_one(insert, &[&name, address, settings, enabled, sealed_source]).await?;
            show_to(&transaction, row.try_get(0)?, roles).await?;
            retired::replaced(&transaction, &name).await?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Replaces what a stream is made of, if it is the one that the caller saw, by number and revision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::ManagedByConfig`], [`StoreError::Stale`],
    /// [`StoreError::Unavailable`].
    pub(crate) async fn change_stream(
        &self,
        name: &str,
        seen: (i64, i64),
        spec: StreamSpec,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let is = own(&transaction, &name).await?;
            if is != seen {
                return Err(StoreError::Stale);
            }
            let (id, _) = is;
            let update = "update streams set address = $2, settings = $3::text::jsonb, enabled = $4,
                sealed_source = $5, revision = revision + 1, updated_at = now() where id = $1";
            let StreamSpec { address, sealed_source, settings, enabled, roles } = &spec;
            transaction.execute(update, &[&id, address, settings, enabled, sealed_source]).await?;
            transaction.execute("delete from stream_roles where stream_id = $1", &[&id]).await?;
            show_to(&transaction, id, roles).await?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Removes a stream, if it has the revision that the caller saw. Its sessions and events stay, and so does what
    /// they are limited to.
    ///
    /// # Errors
    /// As [`Store::change_stream`].
    pub(crate) async fn delete_stream(
        &self,
        name: &str,
        seen: Option<i64>,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let (id, revision) = own(&transaction, &name).await?;
            if seen.is_some_and(|seen| seen != revision) {
                return Err(StoreError::Stale);
            }
            retired::retire(&transaction, id).await?;
            transaction.execute("delete from streams where id = $1", &[&id]).await?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Orders something of a stream: whoever runs it reads it here. Whether there is such a stream.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn wish_of_stream(
        &self,
        name: &str,
        wish: StreamWish,
        audit: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            // `enabled` is one of the settings: who saw them before must not undo this unknowingly.
            let run =
                "desired_state = 'running', enabled = true, revision = revision + (not enabled)::integer";
            let update = match wish {
                StreamWish::Start => format!("{run}, starts = starts + 1"),
                StreamWish::Stop => "desired_state = 'stopped'".to_owned(),
                StreamWish::Restart => format!("{run}, restarts = restarts + 1"),
            };
            let update = format!("update streams set {update} where name = $1");
            if transaction.execute(&update, &[&name]).await? == 0 {
                return Ok(false);
            }
            note(&transaction, audit.as_ref()).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Forgets what was ordered of the streams of config.toml: the file alone says whether they run.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn forget_wishes_of_config_streams(&self) -> Result<(), StoreError> {
        self.run(|client| async move {
            let update = "update streams set desired_state = 'running'
                where managed_by_config and desired_state <> 'running'";
            client.execute(update, &[]).await?;
            Ok(())
        })
        .await
    }

    async fn managed(&self, name: Option<String>) -> Result<Vec<ManagedStream>, StoreError> {
        self.run(
            move |client| async move { client.query(SELECT, &[&name]).await?.iter().map(stream).collect() },
        )
        .await
    }
}

/// Number and revision of a stream that operators may change, locked until the transaction ends.
async fn own(client: &impl GenericClient, name: &str) -> Result<(i64, i64), StoreError> {
    let select = "select id, managed_by_config, revision from streams where name = $1 for update";
    let Some(row) = client.query_opt(select, &[&name]).await? else {
        return Err(StoreError::NotFound { what: format!("stream {name}") });
    };
    if row.try_get(1)? {
        return Err(StoreError::ManagedByConfig);
    }
    Ok((row.try_get(0)?, row.try_get(2)?))
}

pub(super) async fn show_to(
    transaction: &Transaction<'_>,
    stream: i64,
    roles: &[String],
) -> Result<(), StoreError> {
    for role in roles {
        let insert = "insert into stream_roles (stream_id, role_id) select $1, id from roles where name = $2
            on conflict do nothing";
        if transaction.execute(insert, &[&stream, role]).await? == 0 {
            return Err(StoreError::NotFound { what: format!("role {role}") });
        }
    }
    Ok(())
}

fn stream(row: &Row) -> Result<ManagedStream, StoreError> {
    Ok(ManagedStream {
        name: row.try_get(0)?,
        address: row.try_get(1)?,
        settings: row.try_get(2)?,
        managed_by_config: row.try_get(3)?,
        enabled: row.try_get(4)?,
        wanted: row.try_get(5)?,
        sealed_source: row.try_get(6)?,
        revision: row.try_get(7)?,
        roles: row.try_get(8)?,
        starts: row.try_get(9)?,
        restarts: row.try_get(10)?,
        id: row.try_get(11)?,
    })
}
