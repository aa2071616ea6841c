//! Keys of agents and tickets of browsers.

use tokio_postgres::Row;

use super::Store;
use super::audit::{AuditEntry, note};
use super::error::StoreError;
use super::time::{from_us, to_us};
use crate::accounts::{Digest, KeyScope};

/// A key to be kept.
#[derive(Clone)]
pub(crate) struct NewKey {
    /// The public part, unique.
    pub(crate) id: String,
    /// What it is for, at most 64 characters.
    pub(crate) name: String,
    /// SHA-256 of the secret part.
    pub(crate) hash: Digest,
    /// Name of the user for whom it acts.
    pub(crate) owner: String,
    /// Its limits.
    pub(crate) scope: KeyScope,
}

/// A key as it is listed: without its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRow {
    /// The public part.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) name: String,
    /// Name of the user for whom it acts.
    pub(crate) owner: String,
    /// Its limits.
    pub(crate) scope: KeyScope,
    /// When it was made, in microseconds since 1970.
    pub(crate) created_at_us: i64,
    /// When it was last shown, to the minute.
    pub(crate) last_used_at_us: Option<i64>,
    /// Since when it is void.
    pub(crate) revoked_at_us: Option<i64>,
}

/// A ticket: opens one subscription, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// For whom.
    pub(crate) user: i64,
    /// The key that asked for it.
    pub(crate) key: Option<String>,
    /// The login that asked for it.
    pub(crate) family: Option<i64>,
    /// The query of the subscription.
    pub(crate) filter: String,
    /// The page that asked for it.
    pub(crate) origin: Option<String>,
    /// When the token that asked for it ends, in microseconds since 1970.
    pub(crate) session_until_us: Option<i64>,
}

const LIST: &str = "
    select k.id::text, k.name::text, u.username::text, k.streams, k.events, k.created_at, k.last_used_at, k.revoked_at
    from api_keys k join users u on u.id = k.owner_id
    where $1::text is null or u.username = $1
    order by k.created_at, k.id";

impl Store {
    /// Keeps a key.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for an owner that there is not, [`StoreError::Unavailable`].
    pub(crate) async fn create_key(&self, key: NewKey, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let insert = "insert into api_keys (id, name, hash, owner_id, streams, events)
                select $1, $2, $3, id, $5, $6 from users where username = $4";
            let NewKey { id, name, hash, owner, scope } = &key;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [id, name, &&hash[..], owner, &scope.streams, &scope.events];
            if transaction.execute(insert, &values).await? == 0 {
                return Err(StoreError::NotFound { what: format!("user {owner}") });
            }
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// All keys, or those of one user, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn list_keys(&self, owner: Option<&str>) -> Result<Vec<KeyRow>, StoreError> {
        let owner = owner.map(str::to_owned);
        self.run(move |client| async move { client.query(LIST, &[&owner]).await?.iter().map(key).collect() })
            .await
    }

    /// Makes a key void for good; of `owner` only, if one is given. The first time is kept.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub(crate) async fn revoke_key(
        &self,
        id: &str,
        owner: Option<&str>,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let (id, owner) = (id.to_owned(), owner.map(str::to_owned));
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let revoke = "update api_keys k set revoked_at = coalesce(revoked_at, now()) from users u
                where k.id = $1 and u.id = k.owner_id and ($2::text is null or u.username = $2)";
            if transaction.execute(revoke, &[&id, &owner]).await? == 0 {
                return Err(StoreError::NotFound { what: format!("key {id}") });
            }
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Keeps a ticket until `expires_at_us`; those that are over are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn create_ticket(
        &self,
        hash: Digest,
        ticket: Ticket,
        expires_at_us: i64,
    ) -> Result<(), StoreError> {
        self.run(move |client| async move {
            client.execute("delete from ws_tickets where expires_at < now()", &[]).await?;
            let insert = "insert into ws_tickets
                (hash, user_id, key_id, family_id, filter, origin, expires_at, session_until)
                values ($1, $2, $3, $4, $5, $6, $7, $8)";
            let Ticket { user, key, family, filter, origin, session_until_us } = &ticket;
            let user = i32::try_from(*user).unwrap_or(0);
            let until = session_until_us.map(from_us);
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
                [&&hash[..], &user, key, family, filter, origin, &from_us(expires_at_us), &until];
            client.execute(insert, &values).await?;
            Ok(())
        })
        .await
    }

    /// Takes a ticket that is not over: nobody can take it again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn take_ticket(&self, hash: Digest, now_us: i64) -> Result<Option<Ticket>, StoreError> {
        self.run(move |client| async move {
            let take = "delete from ws_tickets where hash = $1
                returning user_id, key_id::text, family_id, filter, origin::text, session_until, expires_at > $2";
            let row = client.query_opt(take, &[&&hash[..], &from_us(now_us)]).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(if row.try_get(6)? { Some(ticket(&row)?) } else { None })
        })
        .await
    }
}

fn key(row: &Row) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        owner: row.try_get(2)?,
        scope: KeyScope { streams: row.try_get(3)?, events: row.try_get(4)? },
        created_at_us: to_us(row.try_get(5)?),
        last_used_at_us: row.try_get::<_, Option<_>>(6)?.map(to_us),
        revoked_at_us: row.try_get::<_, Option<_>>(7)?.map(to_us),
    })
}

fn ticket(row: &Row) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        user: i64::from(row.try_get::<_, i32>(0)?),
        key: row.try_get(1)?,
        family: row.try_get(2)?,
        filter: row.try_get(3)?,
        origin: row.try_get(4)?,
        session_until_us: row.try_get::<_, Option<_>>(5)?.map(to_us),
    })
}
