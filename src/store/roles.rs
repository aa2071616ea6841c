//! Roles: the built-in ones, whose permissions are in the program, and own ones.

use tokio_postgres::Row;

use super::Store;
use super::audit::{AuditEntry, note};
use super::error::StoreError;

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleRow {
    /// Name, unique, at most 32 characters.
    pub(crate) name: String,
    /// Whether it came with the program and cannot be changed.
    pub(crate) built_in: bool,
    /// Names of its own permissions; none for a built-in one.
    pub(crate) permissions: Vec<String>,
}

impl Store {
    /// All roles by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn list_roles(&self) -> Result<Vec<RoleRow>, StoreError> {
        self.run(|client| async move {
            let query = "select name::text, built_in, permissions from roles order by name";
            client.query(query, &[]).await?.iter().map(role).collect()
        })
        .await
    }

    /// Makes a role.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Unavailable`].
    pub(crate) async fn create_role(
        &self,
        name: &str,
        permissions: Vec<String>,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let insert = "insert into roles (name, permissions) values ($1, $2)";
            transaction.execute(insert, &[&name, &permissions]).await?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Gives an own role other permissions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], built-in roles included; [`StoreError::Unavailable`].
    pub(crate) async fn change_role(
        &self,
        name: &str,
        permissions: Vec<String>,
        audit: Option<AuditEntry>,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let update = "update roles set permissions = $2 where name = $1 and not built_in";
            changed(transaction.execute(update, &[&name, &permissions]).await?, &name)?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    /// Removes an own role from everybody who has it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], built-in roles and those that streams are limited to included;
    /// [`StoreError::Unavailable`].
    pub(crate) async fn delete_role(&self, name: &str, audit: Option<AuditEntry>) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            // Without its last role a stream would be everybody's.
            let delete = "delete from roles where name = $1 and not built_in
                and not exists (select 1 from stream_roles where role_id = roles.id)";
            changed(transaction.execute(delete, &[&name]).await?, &name)?;
            note(&transaction, audit.as_ref()).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

fn changed(rows: u64, name: &str) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::NotFound { what: format!("role {name}") }) } else { Ok(()) }
}

fn role(row: &Row) -> Result<RoleRow, StoreError> {
    Ok(RoleRow { name: row.try_get(0)?, built_in: row.try_get(1)?, permissions: row.try_get(2)? })
}
