//! Changes of accounts that must leave an administrator: disabling, roles, removal.
//!
//! Each takes the row of the role `admin` first, so that two of them at once take turns and cannot both believe
//! that the other one's administrator stays. What is changed and what is written down about it are one transaction.

use deadpool_postgres::Transaction;

use super::audit::{AuditEntry, note};
use super::error::StoreError;
use super::users::changed_user;
use super::{Object, Store};

/// Administrators who may log in. Those of the development login are none: they are gone when it is switched off.
pub(super) const ADMINS: &str = "select count(*) from users u join user_roles ur on ur.user_id = u.id
    join roles r on r.id = ur.role_id where r.name = 'admin' and u.disabled_at is null
    and not exists (select 1 from user_identities i where i.user_id = u.id and i.issuer = 'development')";

/// What is to be changed of an account; what is absent stays.
#[derive(Clone, Default)]
pub(crate) struct UserChange {
    /// Exactly these roles, by name. Invitations of an account that loses one are void.
    pub(crate) roles: Option<Vec<String>>,
    /// Another mail address. What was mailed to the old one is void.
    pub(crate) email: Option<String>,
    /// Whether logins are refused; the first time of refusing is kept. Refusing ends the account's logins, and its
    /// invitations are void.
    pub(crate) disabled: Option<bool>,
    /// bcrypt hash of another password. Ends the account's logins, and resets that wait and invitations are void.
    pub(crate) password_hash: Option<String>,
}

impl Store {
    /// Changes an account: everything or nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the account or a role, [`StoreError::Conflict`] for a mail address that is
    /// taken, [`StoreError::LastAdmin`], [`StoreError::Unavailable`].
    pub(crate) async fn change_user(
        &self,
        username: &str,
        change: UserChange,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let name = username.to_owned();
        self.run(move |mut client| async move {
            let (transaction, admins) = begin(&mut client).await?;
            let select = "select id from users where username = $1 for update";
            let Some(row) = transaction.query_opt(select, &[&name]).await? else {
                return changed_user(0, &name);
            };
            apply(&transaction, row.try_get(0)?, &change).await?;
            finish(transaction, admins, audit).await
        })
        .await
    }

    /// Removes an account with its keys and logins.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::LastAdmin`], [`StoreError::Unavailable`].
    pub(crate) async fn delete_user(
        &self,
        username: &str,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let name = username.to_owned();
        self.run(move |mut client| async move {
            let (transaction, admins) = begin(&mut client).await?;
            let deleted = transaction.execute("delete from users where username = $1", &[&name]).await?;
            changed_user(deleted, &name)?;
            finish(transaction, admins, audit).await
        })
        .await
    }
}

async fn apply(transaction: &Transaction<'_>, user: i32, change: &UserChange) -> Result<(), StoreError> {
    if let Some(roles) = &change.roles {
        replace_roles(transaction, user, roles).await?;
    }
    if let Some(email) = &change.email {
        transaction.execute("update users set email = $2 where id = $1", &[&user, email]).await?;
        forget_resets(transaction, user).await?;
    }
    if let Some(disabled) = change.disabled {
        let update =
            "update users set disabled_at = case when $2 then coalesce(disabled_at, now()) end where id = $1";
        transaction.execute(update, &[&user, &disabled]).await?;
        if disabled {
            end_logins(transaction, user).await?;
            forget_invitations(transaction, user).await?;
        }
    }
    if let Some(hash) = &change.password_hash {
        set_password(transaction, user, hash).await?;
    }
    Ok(())
}

/// Sets a password: all logins end, access tokens of before are void, and so are resets that wait and invitations.
pub(super) async fn set_password(
    transaction: &Transaction<'_>,
    user: i32,
    hash: &str,
) -> Result<(), StoreError> {
    let update = "update users set password = $2, password_changed_at = now(),
        password_version = password_version + 1 where id = $1";
    transaction.execute(update, &[&user, &hash]).await?;
    end_logins(transaction, user).await?;
    forget_resets(transaction, user).await?;
    forget_invitations(transaction, user).await
}

/// Gives an account exactly these roles. If it loses one, its invitations are void.
pub(super) async fn replace_roles(
    transaction: &Transaction<'_>,
    user: i32,
    roles: &[String],
) -> Result<(), StoreError> {
    let take = "delete from user_roles ur using roles r
        where r.id = ur.role_id and ur.user_id = $1 and r.name <> all ($2::text[])";
    if transaction.execute(take, &[&user, &roles]).await? > 0 {
        forget_invitations(transaction, user).await?;
    }
    give_roles(transaction, user, roles).await
}

/// Adds roles by name.
pub(super) async fn give_roles(
    transaction: &Transaction<'_>,
    user: i32,
    roles: &[String],
) -> Result<(), StoreError> {
    for role in roles {
        let row = transaction.query_opt("select id from roles where name = $1", &[role]).await?;
        let Some(row) = row else {
            return Err(StoreError::NotFound { what: format!("role {role}") });
        };
        let id: i32 = row.try_get(0)?;
        let give = "insert into user_roles (user_id, role_id) values ($1, $2) on conflict do nothing";
        transaction.execute(give, &[&user, &id]).await?;
    }
    Ok(())
}

async fn end_logins(transaction: &Transaction<'_>, user: i32) -> Result<(), StoreError> {
    let end = "update refresh_families set revoked_at = coalesce(revoked_at, now()) where user_id = $1";
    transaction.execute(end, &[&user]).await?;
    transaction.execute("delete from sign_in_codes where user_id = $1", &[&user]).await?;
    Ok(())
}

async fn forget_resets(transaction: &Transaction<'_>, user: i32) -> Result<(), StoreError> {
    let delete = "delete from one_time_tokens where purpose = 'reset' and user_id = $1";
    transaction.execute(delete, &[&user]).await?;
    Ok(())
}

/// Makes the invitations void that an account has made and nobody has used.
async fn forget_invitations(transaction: &Transaction<'_>, user: i32) -> Result<(), StoreError> {
    let delete = "delete from one_time_tokens where purpose = 'invite' and invited_by = $1";
    transaction.execute(delete, &[&user]).await?;
    Ok(())
}

/// A transaction that has its turn, and how many administrators may log in.
pub(super) async fn begin(client: &mut Object) -> Result<(Transaction<'_>, i64), StoreError> {
    let transaction = client.transaction().await?;
    transaction.execute("select 1 from roles where name = 'admin' for update", &[]).await?;
    let admins = transaction.query_one(ADMINS, &[]).await?.try_get(0)?;
    Ok((transaction, admins))
}

/// Commits unless the last administrator would be gone.
async fn finish(
    transaction: Transaction<'_>,
    admins_before: i64,
    audit: Option<AuditEntry>,
) -> Result<(), StoreError> {
    let admins: i64 = transaction.query_one(ADMINS, &[]).await?.try_get(0)?;
    if admins == 0 && admins_before > 0 {
        return Err(StoreError::LastAdmin);
    }
    note(&transaction, audit.as_ref()).await?;
    Ok(transaction.commit().await?)
}
