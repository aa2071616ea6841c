//! Logins that last: families of refresh tokens, and tokens that are good once (resets, invitations).

use deadpool_postgres::Transaction;

use super::Store;
use super::audit::{AuditEntry, note};
use super::error::StoreError;
use super::time::{from_us, to_us};
use super::user_changes::set_password;
use super::users::{NewUser, insert_user};
use crate::accounts::Digest;

/// What became of a refresh token that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// It is used up and the next one is good.
    Done {
        /// Whose login.
        user: i64,
        /// Which login.
        family: i64,
        /// When the login ends, in microseconds since 1970.
        until_us: i64,
    },
    /// It had been used before: somebody has a copy, so the whole login is void.
    Reused {
        /// Whose login it was.
        user: i64,
    },
    /// It is not one, or its login is over.
    Unknown,
}

/// What a token that is good once was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new password for an account.
    Reset,
    /// A new account with given roles.
    Invite,
}

/// A token that is good once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OneTime {
    /// For what.
    pub(crate) purpose: Purpose,
    /// Whose password it sets.
    pub(crate) user: Option<i32>,
    /// The roles that it gives.
    pub(crate) roles: Vec<String>,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Purpose::Reset => "reset",
            Purpose::Invite => "invite",
        }
    }
}

impl Store {
    /// Begins a login with its first refresh token; returns its number. Logins that are over are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn begin_login(
        &self,
        user: i64,
        token: Digest,
        until_us: i64,
    ) -> Result<i64, StoreError> {
        let user = i32::try_from(user).unwrap_or(0);
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            transaction.execute("delete from refresh_families where expires_at < now()", &[]).await?;
            let insert = "insert into refresh_families (user_id, expires_at) values ($1, $2) returning id";
            let family = transaction.query_one(insert, &[&user, &from_us(until_us)]).await?.try_get(0)?;
            keep(&transaction, family, token).await?;
            transaction.commit().await?;
            Ok(family)
        })
        .await
    }

    /// Uses the token `shown` up and makes `next` good in its place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn refresh_login(
        &self,
        shown: Digest,
        next: Digest,
        now_us: i64,
    ) -> Result<Refreshed, StoreError> {
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let select = "select f.user_id, f.id, f.expires_at, t.used_at is not null,
                    f.revoked_at is not null or f.expires_at <= $2
                from refresh_tokens t join refresh_families f on f.id = t.family_id
                where t.hash = $1 for update";
            let row = transaction.query_opt(select, &[&&shown[..], &from_us(now_us)]).await?;
            let Some(row) = row else { return Ok(Refreshed::Unknown) };
            let (user, family) = (i64::from(row.try_get::<_, i32>(0)?), row.try_get(1)?);
            let (used, over): (bool, bool) = (row.try_get(3)?, row.try_get(4)?);
            if over {
                return Ok(Refreshed::Unknown);
            }
            if used {
                revoke(&transaction, family).await?;
                transaction.commit().await?;
                return Ok(Refreshed::Reused { user });
            }
            transaction
                .execute("update refresh_tokens set used_at = now() where hash = $1", &[&&shown[..]])
                .await?;
            keep(&transaction, family, next).await?;
            let until_us = to_us(row.try_get(2)?);
            transaction.commit().await?;
            Ok(Refreshed::Done { user, family, until_us })
        })
        .await
    }

    /// Ends a login: its tokens are void.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn end_login(&self, family: i64, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            revoke(&transaction, family).await?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Keeps a token that is good once; those that are over are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn create_one_time(
        &self,
        hash: Digest,
        token: OneTime,
        until_us: i64,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            transaction.execute("delete from one_time_tokens where expires_at < now()", &[]).await?;
            let insert = "insert into one_time_tokens (hash, purpose, user_id, roles, expires_at)
                values ($1, $2, $3, $4, $5)";
            let OneTime { purpose, user, roles } = &token;
            let until = from_us(until_us);
            transaction.execute(insert, &[&&hash[..], &purpose.name(), user, roles, &until]).await?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Makes the account of somebody who was invited, with the invitation's roles and not those of `user`. An
    /// account that cannot be made leaves the invitation as it was. `None`: the invitation is used or over.
    ///
    /// # Errors
    /// As [`Store::create_user`].
    pub(crate) async fn accept_invitation(
        &self,
        invitation: Digest,
        user: NewUser,
        now_us: i64,
        audit: Option<AuditEntry>,
    ) -> Result<Option<i32>, StoreError> {
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let Some(token) = take(&transaction, invitation, Purpose::Invite, now_us).await? else {
                return Ok(None);
            };
            let id = insert_user(&transaction, &NewUser { roles: token.roles, ..user }).await?;
            note(&transaction, audit.as_ref()).await?;
            transaction.commit().await?;
            Ok(Some(id))
        })
        .await
    }

    /// Sets the password of the account that a reset was mailed to; other resets of it are void. Gives the account's
    /// name; `None`: the token is used or over. `audit` is written with that name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn reset_password(
        &self,
        token: Digest,
        hash: &str,
        now_us: i64,
        audit: AuditEntry,
    ) -> Result<Option<String>, StoreError> {
        let hash = hash.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            // The account before the token, as everywhere: two resets of one account take turns.
            let select =
                "select u.id, u.username::text from users u join one_time_tokens t on t.user_id = u.id
                where t.hash = $1 for update of u";
            let Some(row) = transaction.query_opt(select, &[&&token[..]]).await? else { return Ok(None) };
            let (user, username): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
            if take(&transaction, token, Purpose::Reset, now_us).await?.is_none() {
                return Ok(None);
            }
            set_password(&transaction, user, &hash).await?;
            let audit = AuditEntry { actor: username.clone(), target: username.clone(), ..audit };
            note(&transaction, Some(&audit)).await?;
            transaction.commit().await?;
            Ok(Some(username))
        })
        .await
    }
}

/// Takes a token that is good once, and whoever else shows it waits for the transaction's end.
async fn take(
    transaction: &Transaction<'_>,
    hash: Digest,
    purpose: Purpose,
    now_us: i64,
) -> Result<Option<OneTime>, StoreError> {
    let take = "delete from one_time_tokens where hash = $1 and purpose = $2 and expires_at > $3
        returning user_id, roles";
    let row = transaction.query_opt(take, &[&&hash[..], &purpose.name(), &from_us(now_us)]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(OneTime { purpose, user: row.try_get(0)?, roles: row.try_get(1)? }))
}

async fn keep(transaction: &Transaction<'_>, family: i64, token: Digest) -> Result<(), StoreError> {
    let insert = "insert into refresh_tokens (hash, family_id) values ($1, $2)";
    transaction.execute(insert, &[&&token[..], &family]).await?;
    Ok(())
}

async fn revoke(transaction: &Transaction<'_>, family: i64) -> Result<(), StoreError> {
    let update = "update refresh_families set revoked_at = coalesce(revoked_at, now()) where id = $1";
    transaction.execute(update, &[&family]).await?;
    Ok(())
}
