//! Users and their roles. Passwords come and go as bcrypt hashes; nothing here hashes or compares.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::Store;
use super::audit::{AuditEntry, note};
use super::error::StoreError;
use super::time::to_us;
use super::user_changes::{ADMINS, give_roles};

/// An account to be made.
#[derive(Clone)]
pub(crate) struct NewUser {
    /// Name, unique, at most 64 characters.
    pub(crate) username: String,
    /// Address, unique however it is capitalised, at most 255 characters.
    pub(crate) email: Option<String>,
    /// bcrypt hash; empty: no password is right.
    pub(crate) password_hash: String,
    /// Names of roles.
    pub(crate) roles: Vec<String>,
}

/// An account. Its `Debug` leaves the hash out.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Number.
    pub(crate) id: i32,
    /// Name.
    pub(crate) username: String,
    /// Address.
    pub(crate) email: Option<String>,
    /// bcrypt hash.
    pub(crate) password_hash: String,
    /// Names of roles, in order of the alphabet.
    pub(crate) roles: Vec<String>,
    /// When it was made, in microseconds since 1970.
    pub(crate) created_at_us: i64,
    /// Since when it may not log in.
    pub(crate) disabled_at_us: Option<i64>,
    /// When its password was last set, in microseconds since 1970.
    #[cfg(test)]
    pub(crate) password_changed_at_us: i64,
}

const SELECT: &str = "
    select u.id, u.username, u.email, u.password,
        coalesce(array_agg(r.name::text order by r.name) filter (where r.name is not null), '{}'),
        u.created_at, u.disabled_at, u.password_changed_at
    from users u
    left join user_roles ur on ur.user_id = u.id
    left join roles r on r.id = ur.role_id
    where ($1::text is null or u.username = $1) and ($2::text is null or lower(u.email) = lower($2))
    group by u.id
    order by u.username";

impl Store {
    /// Makes an account; returns its number.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] naming `username` or `email`, [`StoreError::NotFound`] for a role that there
    /// is not, [`StoreError::Unavailable`].
    pub(crate) async fn create_user(
        &self,
        user: NewUser,
        audit: Option<AuditEntry>,
    ) -> Result<i32, StoreError> {
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let id = insert_user(&transaction, &user).await?;
            note(&transaction, audit.as_ref()).await?;
            transaction.commit().await?;
            Ok(id)
        })
        .await
    }

    /// The account called `username`, disabled or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn find_user(&self, username: &str) -> Result<Option<User>, StoreError> {
        Ok(self.users(Some(username.to_owned()), None).await?.pop())
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn list_users(&self) -> Result<Vec<User>, StoreError> {
        self.users(None, None).await
    }

    /// Administrators who may log in.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn count_admins(&self) -> Result<u64, StoreError> {
        self.run(|client| async move {
            let count: i64 = client.query_one(ADMINS, &[]).await?.try_get(0)?;
            Ok(count.unsigned_abs())
        })
        .await
    }

    /// The account with this mail address, however it is capitalised.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn find_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        Ok(self.users(None, Some(email.to_owned())).await?.pop())
    }

    async fn users(&self, username: Option<String>, email: Option<String>) -> Result<Vec<User>, StoreError> {
        self.run(move |client| async move {
            let statement = client.prepare_cached(SELECT).await?;
            client.query(&statement, &[&username, &email]).await?.iter().map(user).collect()
        })
        .await
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("username", &self.username)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// Makes an account with its roles.
pub(super) async fn insert_user(transaction: &Transaction<'_>, user: &NewUser) -> Result<i32, StoreError> {
    let insert = "insert into users (username, email, password) values ($1, $2, $3) returning id";
    let row = transaction.query_one(insert, &[&user.username, &user.email, &user.password_hash]).await?;
    let id: i32 = row.try_get(0)?;
    give_roles(transaction, id, &user.roles).await?;
    Ok(id)
}

pub(super) fn changed_user(rows: u64, name: &str) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::NotFound { what: format!("user {name}") }) } else { Ok(()) }
}

fn user(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: row.try_get(0)?,
        username: row.try_get(1)?,
        email: row.try_get(2)?,
        password_hash: row.try_get(3)?,
        roles: row.try_get(4)?,
        created_at_us: to_us(row.try_get(5)?),
        disabled_at_us: row.try_get::<_, Option<_>>(6)?.map(to_us),
        #[cfg(test)]
        password_changed_at_us: to_us(row.try_get(7)?),
    })
}
