//! Changes of accounts that must leave an administrator: disabling, roles, removal.
//!
//! Each takes the row of the role `admin` first, so that two of them at once take turns and cannot both believe
//! that the other one's administrator stays.

use deadpool_postgres::Transaction;

use super::error::StoreError;
use super::users::changed_user;
use super::{Object, Store};

const ADMINS: &str = "select count(*) from users u join user_roles ur on ur.user_id = u.id
    join roles r on r.id = ur.role_id where r.name = 'admin' and u.disabled_at is null";

impl Store {
    /// Forbids or allows an account to log in; the first time of forbidding is kept. Forbidding ends its logins.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::LastAdmin`], [`StoreError::Unavailable`].
    pub(crate) async fn set_user_disabled(&self, username: &str, disabled: bool) -> Result<(), StoreError> {
        let name = username.to_owned();
        self.run(move |mut client| async move {
            let (transaction, admins) = begin(&mut client).await?;
            let update = "update users set disabled_at = case when $2 then coalesce(disabled_at, now()) end
                where username = $1";
            changed_user(transaction.execute(update, &[&name, &disabled]).await?, &name)?;
            let end = "update refresh_families set revoked_at = coalesce(revoked_at, now())
                where $2 and user_id = (select id from users where username = $1)";
            transaction.execute(end, &[&name, &disabled]).await?;
            finish(transaction, admins).await
        })
        .await
    }

    /// Gives an account exactly these roles.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the account or a role, [`StoreError::LastAdmin`], [`StoreError::Unavailable`].
    pub(crate) async fn set_user_roles(&self, username: &str, roles: &[String]) -> Result<(), StoreError> {
        let (name, roles) = (username.to_owned(), roles.to_vec());
        self.run(move |mut client| async move {
            let (transaction, admins) = begin(&mut client).await?;
            let row = transaction.query_opt("select id from users where username = $1", &[&name]).await?;
            let id: i32 = match row {
                Some(row) => row.try_get(0)?,
                None => return changed_user(0, &name),
            };
            transaction.execute("delete from user_roles where user_id = $1", &[&id]).await?;
            give_roles(&transaction, id, &roles).await?;
            finish(transaction, admins).await
        })
        .await
    }

    /// Removes an account with its keys and logins.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::LastAdmin`], [`StoreError::Unavailable`].
    pub(crate) async fn delete_user(&self, username: &str) -> Result<(), StoreError> {
        let name = username.to_owned();
        self.run(move |mut client| async move {
            let (transaction, admins) = begin(&mut client).await?;
            let deleted = transaction.execute("delete from users where username = $1", &[&name]).await?;
            changed_user(deleted, &name)?;
            finish(transaction, admins).await
        })
        .await
    }

    /// Gives an account another mail address, or none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::Unavailable`].
    pub(crate) async fn set_user_email(&self, username: &str, email: Option<&str>) -> Result<(), StoreError> {
        let (name, email) = (username.to_owned(), email.map(str::to_owned));
        self.run(move |client| async move {
            let update = "update users set email = $2 where username = $1";
            changed_user(client.execute(update, &[&name, &email]).await?, &name)
        })
        .await
    }
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

/// A transaction that has its turn, and how many administrators may log in.
async fn begin(client: &mut Object) -> Result<(Transaction<'_>, i64), StoreError> {
    let transaction = client.transaction().await?;
    transaction.execute("select 1 from roles where name = 'admin' for update", &[]).await?;
    let admins = transaction.query_one(ADMINS, &[]).await?.try_get(0)?;
    Ok((transaction, admins))
}

/// Commits unless the last administrator would be gone.
async fn finish(transaction: Transaction<'_>, admins_before: i64) -> Result<(), StoreError> {
    let admins: i64 = transaction.query_one(ADMINS, &[]).await?.try_get(0)?;
    if admins == 0 && admins_before > 0 {
        return Err(StoreError::LastAdmin);
    }
    Ok(transaction.commit().await?)
}
