//! Logins that last: families of refresh tokens, and tokens that are good once (resets, invitations).

use deadpool_postgres::Transaction;

use super::Store;
use super::audit::{AuditEntry, note};
use super::error::StoreError;
use super::time::from_us;
use super::user_changes::{begin, set_password};
use super::users::{NewUser, insert_user};
use crate::accounts::Digest;

/// A client whose answer was lost asks again within so many seconds. Whoever shows a used token later has a copy of it.
const LOST_ANSWER_S: f64 = 10.0;

// A change of an account may hold some of these and want others: who waited for it here could be waited for there.
const FORGET_EXPIRED: &str = "delete from one_time_tokens where hash in (
    select hash from one_time_tokens where expires_at < now() for update skip locked)";

/// What became of a refresh token that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refreshed {
    /// It is used up and the next one is good.
    Done,
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
    /// Who invited.
    pub(crate) invited_by: Option<i32>,
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

    /// Whose login a refresh token is of, and which login, be it good or over. The token stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn find_login(&self, shown: Digest) -> Result<Option<(i64, i64)>, StoreError> {
        self.run(move |client| async move {
            let select = "select f.user_id, f.id
                from refresh_tokens t join refresh_families f on f.id = t.family_id where t.hash = $1";
            let row = client.query_opt(select, &[&&shown[..]]).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some((i64::from(row.try_get::<_, i32>(0)?), row.try_get(1)?)))
        })
        .await
    }

    /// Uses the token `shown` up and makes `next` good in its place.
    ///
    /// A used token that comes again was copied, and its login is over; with one exception. If it was used less than ten
    /// seconds ago and nobody has shown the token that was given for it, the answer with that one was lost: `next` is
    /// given in its stead, and it is void. A thief who comes in these seconds gains nothing by that: whoever shows the
    /// void one ends the login, as before.
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
            // The login's row is the lock: what its tokens are is read when this one has its turn.
            let select = "select f.user_id, f.id, f.revoked_at is not null or f.expires_at <= $2
                from refresh_tokens t join refresh_families f on f.id = t.family_id
                where t.hash = $1 for update of f";
            let row = transaction.query_opt(select, &[&&shown[..], &from_us(now_us)]).await?;
            let Some(row) = row else { return Ok(Refreshed::Unknown) };
            let (user, family) = (i64::from(row.try_get::<_, i32>(0)?), row.try_get(1)?);
            if row.try_get(2)? {
                return Ok(Refreshed::Unknown);
            }
            let refreshed = if use_up(&transaction, shown, next).await? {
                keep(&transaction, family, next).await?;
                Refreshed::Done
            } else {
                revoke(&transaction, family).await?;
                Refreshed::Reused { user }
            };
            transaction.commit().await?;
            Ok(refreshed)
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
            let insert = "insert into one_time_tokens (hash, purpose, user_id, invited_by, roles, expires_at)
                values ($1, $2, $3, $4, $5, $6)";
            let OneTime { purpose, user, invited_by, roles } = &token;
            let until = from_us(until_us);
            transaction
                .execute(insert, &[&&hash[..], &purpose.name(), user, invited_by, roles, &until])
                .await?;
            transaction.execute(FORGET_EXPIRED, &[]).await?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Who made an invitation that is good, and the roles that it gives. The invitation stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn find_invitation(
        &self,
        invitation: Digest,
        now_us: i64,
    ) -> Result<Option<(i64, Vec<String>)>, StoreError> {
        self.run(move |client| async move {
            let select = "select invited_by, roles from one_time_tokens
                where hash = $1 and purpose = $2 and expires_at > $3 and invited_by is not null";
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&&invitation[..], &Purpose::Invite.name(), &from_us(now_us)];
            let Some(row) = client.query_opt(select, &values).await? else { return Ok(None) };
            Ok(Some((i64::from(row.try_get::<_, i32>(0)?), row.try_get(1)?)))
        })
        .await
    }

    /// Makes the account of somebody who was invited, with the invitation's roles and not those of `user`. An
    /// account that cannot be made leaves the invitation as it was. `None`: the invitation is used or over, who made it
    /// may not log in any more, or one of its roles is gone. Whether its maker may still give the roles is the
    /// caller's to ask: who loses a role loses their invitations with it.
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
            // In turn with changes of accounts: that of who invited is all before this or all after it.
            let (transaction, _) = begin(&mut client).await?;
            let Some(token) = take(&transaction, invitation, Purpose::Invite, now_us).await? else {
                return Ok(None);
            };
            if !may_log_in(&transaction, token.invited_by).await? {
                return Ok(None);
            }
            let id = match insert_user(&transaction, &NewUser { roles: token.roles, ..user }).await {
                Err(StoreError::NotFound { .. }) => return Ok(None),
                made => made?,
            };
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
            // The account before the token: two resets of one account take turns, and no new token waits for them.
            let select =
                "select u.id, u.username::text from users u join one_time_tokens t on t.user_id = u.id
                where t.hash = $1 for no key update of u";
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
        returning user_id, invited_by, roles";
    let row = transaction.query_opt(take, &[&&hash[..], &purpose.name(), &from_us(now_us)]).await?;
    let Some(row) = row else { return Ok(None) };
    let (user, invited_by) = (row.try_get(0)?, row.try_get(1)?);
    Ok(Some(OneTime { purpose, user, invited_by, roles: row.try_get(2)? }))
}

/// Whether somebody has an account that is open.
async fn may_log_in(transaction: &Transaction<'_>, user: Option<i32>) -> Result<bool, StoreError> {
    let select = "select 1 from users where id = $1 and disabled_at is null";
    Ok(transaction.query_opt(select, &[&user]).await?.is_some())
}

/// Uses a token up, for `next`; one that is used already too, if the answer to that was lost. Tells whether it was good.
async fn use_up(transaction: &Transaction<'_>, shown: Digest, next: Digest) -> Result<bool, StoreError> {
    let first =
        "update refresh_tokens set used_at = now(), successor = $2 where hash = $1 and used_at is null";
    if transaction.execute(first, &[&&shown[..], &&next[..]]).await? > 0 {
        return Ok(true);
    }
    // The void token is used and has no successor: whoever shows it now has a copy.
    let void = "update refresh_tokens lost set used_at = now() from refresh_tokens t
        where t.hash = $1 and t.used_at > now() - make_interval(secs => $2)
        and lost.hash = t.successor and lost.used_at is null";
    if transaction.execute(void, &[&&shown[..], &LOST_ANSWER_S]).await? == 0 {
        return Ok(false);
    }
    let again = "update refresh_tokens set successor = $2 where hash = $1";
    transaction.execute(again, &[&&shown[..], &&next[..]]).await?;
    Ok(true)
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
