//! Who somebody is now, in one query: asked for each request and again while a connection lives.

use tokio_postgres::Row;

use super::Store;
use super::error::StoreError;
use crate::accounts::{Digest, Identity, KeyScope, Permissions};

// A family that is given has to be good: a logout is felt at once.
const BY_ID: &str = "
    select u.id, u.username::text, u.disabled_at is not null, u.password_version,
        coalesce((select array_agg(r.name::text order by r.name)
            from user_roles ur join roles r on r.id = ur.role_id where ur.user_id = u.id), '{}'),
        coalesce((select array_agg(distinct granted)
            from user_roles ur join roles r on r.id = ur.role_id, unnest(r.permissions) granted
            where ur.user_id = u.id), '{}'),
        coalesce((select array_agg(hidden.name order by hidden.name) from (
            select s.name::text from streams s
            where exists (select 1 from stream_roles sr where sr.stream_id = s.id)
            and not exists (select 1 from stream_roles sr join user_roles ur on ur.role_id = sr.role_id
                where sr.stream_id = s.id and ur.user_id = u.id)
            union
            select t.name::text from retired_streams t
            where not exists (select 1 from retired_stream_roles tr join user_roles ur on ur.role_id = tr.role_id
                where tr.stream = t.name and ur.user_id = u.id)) hidden), '{}')
    from users u
    where u.id = $1 and ($2::bigint is null or exists (
        select 1 from refresh_families f
        where f.id = $2 and f.user_id = u.id and f.revoked_at is null))";

// Its use is written down once a minute: a key is shown with each request.
const KEY: &str = "
    with used as (
        update api_keys set last_used_at = now()
        where id = $1 and hash = $2 and revoked_at is null
            and (last_used_at is null or last_used_at < now() - interval '1 minute')
    )
    select owner_id, streams, events from api_keys
    where id = $1 and ($2::bytea is null or hash = $2) and revoked_at is null";

impl Store {
    /// The user with this number; `None` too if the family of logins is revoked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn identity(
        &self,
        user: i64,
        family: Option<i64>,
    ) -> Result<Option<Identity>, StoreError> {
        let Ok(user) = i32::try_from(user) else { return Ok(None) };
        self.run(move |client| async move {
            let statement = client.prepare_cached(BY_ID).await?;
            client.query_opt(&statement, &[&user, &family]).await?.as_ref().map(identity).transpose()
        })
        .await
    }

    /// The owner and the limits of a key that is good; without a hash, of one that was looked at before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn key_identity(
        &self,
        id: &str,
        hash: Option<Digest>,
    ) -> Result<Option<(Identity, KeyScope)>, StoreError> {
        let id = id.to_owned();
        let found = self.run(move |client| async move {
            let statement = client.prepare_cached(KEY).await?;
            let row = client.query_opt(&statement, &[&id, &hash.as_ref().map(|hash| &hash[..])]).await?;
            let read = |row: Row| -> Result<(i32, KeyScope), StoreError> {
                Ok((row.try_get(0)?, KeyScope { streams: row.try_get(1)?, events: row.try_get(2)? }))
            };
            row.map(read).transpose()
        });
        let Some((owner, scope)) = found.await? else { return Ok(None) };
        Ok(self.identity(i64::from(owner), None).await?.map(|identity| (identity.for_key(), scope)))
    }
}

fn identity(row: &Row) -> Result<Identity, StoreError> {
    let granted: Vec<String> = row.try_get(5)?;
    let bare = Identity {
        user: i64::from(row.try_get::<_, i32>(0)?),
        username: row.try_get(1)?,
        roles: Vec::new(),
        permissions: Permissions::default(),
        hidden: row.try_get(6)?,
        disabled: row.try_get(2)?,
        password_version: row.try_get(3)?,
    };
    Ok(bare.with_roles(row.try_get(4)?, &granted))
}
