//! Streams: the table is the truth about them; config.toml is brought into it at boot.

use deadpool_postgres::Transaction;
#[cfg(test)]
use tokio_postgres::Row;

use super::error::StoreError;
use super::managed_streams::show_to;
#[cfg(test)]
use super::time::to_us;
use super::{Store, retired};

/// A stream of config.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigStream {
    /// Name, at most 128 characters.
    pub(crate) name: String,
    /// Where its video comes from, without credentials.
    pub(crate) address: String,
    /// JSON text: everything else.
    pub(crate) settings: String,
    /// Whether it is to run.
    pub(crate) enabled: bool,
    /// The roles that it is limited to, none for everybody; `None`: those that a stream of its name was limited to before.
    pub(crate) roles: Option<Vec<String>>,
}

/// A stream as it is kept.
#[cfg(test)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamRow {
    /// Number.
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
    /// `running` or `stopped`: what an operator asked for last.
    pub(crate) desired_state: String,
    /// When it was first seen, in microseconds since 1970.
    pub(crate) created_at_us: i64,
    /// When it last changed.
    pub(crate) updated_at_us: i64,
}

/// What [`Store::sync_config_streams`] did, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamsSynced {
    /// New in the table.
    pub(crate) added: Vec<String>,
    /// Changed, or taken over from a stream of the same name that an operator had made.
    pub(crate) changed: Vec<String>,
    /// No longer in the file.
    pub(crate) removed: Vec<String>,
}

// `xmax` is 0 in a row that was inserted and not updated. A row that would not change is not touched.
const UPSERT: &str = "
    insert into streams (name, address, settings, enabled, managed_by_config)
    values ($1, $2, $3::text::jsonb, $4, true)
    on conflict (name) do update set
        address = excluded.address, settings = excluded.settings, enabled = excluded.enabled,
        managed_by_config = true, updated_at = now()
    where (streams.address, streams.settings, streams.enabled, streams.managed_by_config)
        is distinct from (excluded.address, excluded.settings, excluded.enabled, true)
    returning xmax = 0";

impl Store {
    /// Makes the table agree with config.toml in one transaction; streams that operators made stay.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::NotFound`] for a role that there is not; [`StoreError::Query`] for settings that
    /// are not JSON.
    pub(crate) async fn sync_config_streams(
        &self,
        streams: &[ConfigStream],
    ) -> Result<StreamsSynced, StoreError> {
        let streams = streams.to_vec();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let mut synced = StreamsSynced::default();
            for stream in &streams {
                upsert(&transaction, stream, &mut synced).await?;
            }
            let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
            let gone = "select id, name from streams where managed_by_config and name <> all ($1::text[]) for update";
            for row in transaction.query(gone, &[&names]).await? {
                let id: i64 = row.try_get(0)?;
                // One that was taken over from an operator may be limited to roles.
                retired::retire(&transaction, id).await?;
                transaction.execute("delete from streams where id = $1", &[&id]).await?;
                synced.removed.push(row.try_get(1)?);
            }
            transaction.commit().await?;
            Ok(synced)
        })
        .await
    }

    #[cfg(test)]
    /// All streams by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn list_streams(&self) -> Result<Vec<StreamRow>, StoreError> {
        self.run(|client| async move {
            let query = "select id, name, address, settings::text, managed_by_config, enabled, desired_state,
                created_at, updated_at from streams order by name";
            client.query(query, &[]).await?.iter().map(stream).collect()
        })
        .await
    }
}

async fn upsert(
    transaction: &Transaction<'_>,
    stream: &ConfigStream,
    synced: &mut StreamsSynced,
) -> Result<(), StoreError> {
    let ConfigStream { name, address, settings, enabled, roles } = stream;
    if let Some(row) = transaction.query_opt(UPSERT, &[name, address, settings, enabled]).await? {
        let kind = if row.try_get(0)? { &mut synced.added } else { &mut synced.changed };
        kind.push(name.clone());
    }
    if let Some(roles) = roles {
        // What is left of a deleted stream of this name is seen by the same.
        retired::replaced(transaction, name).await?;
        let row = transaction.query_one("select id from streams where name = $1", &[name]).await?;
        let id: i64 = row.try_get(0)?;
        transaction.execute("delete from stream_roles where stream_id = $1", &[&id]).await?;
        show_to(transaction, id, roles).await?;
    }
    Ok(())
}

#[cfg(test)]
fn stream(row: &Row) -> Result<StreamRow, StoreError> {
    Ok(StreamRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        address: row.try_get(2)?,
        settings: row.try_get(3)?,
        managed_by_config: row.try_get(4)?,
        enabled: row.try_get(5)?,
        desired_state: row.try_get(6)?,
        created_at_us: to_us(row.try_get(7)?),
        updated_at_us: to_us(row.try_get(8)?),
    })
}
