//! The first administrator: made when there is none, with a password that only a private file tells.

use std::path::Path;

use slog::{Logger, info, warn};

use super::secrets;
use crate::accounts::{first_admin, roles};
use crate::http::Passwords;
use crate::store::{NewUser, Store, StoreError};

/// Opens the accounts of the development login where it is on, and closes them where it is not: a database that was
/// developed with must not bring open doors along.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub(super) async fn settle_development(store: &Store, on: bool, log: &Logger) -> Result<(), StoreError> {
    if on {
        warn!(log, "the development login is on: programs on this machine need no password");
        return store.open_development_accounts().await;
    }
    match store.close_development_accounts().await? {
        0 => {}
        closed => info!(log, "closed accounts of the development login"; "accounts" => closed),
    }
    Ok(())
}

/// Makes the user `admin` if no administrator exists; only the path of the file is told.
///
/// # Errors
/// What the store, the hash or the file system says.
pub(super) async fn ensure_first(
    store: &Store,
    passwords: &Passwords,
    directory: &Path,
    log: &Logger,
) -> Result<(), Box<dyn std::error::Error>> {
    if store.count_admins().await? > 0 {
        return Ok(());
    }
    let password = secrets::new_password()?;
    let path = first_admin::path(directory);
    // The file first: an account whose password nobody knows would be worse than a file without an account.
    secrets::write_private(&path, first_admin::text("admin", &password).as_bytes())?;
    let user = NewUser {
        username: "admin".to_owned(),
        email: None,
        password_hash: passwords.hash_blocking(&password)?,
        roles: vec![roles::ADMIN.to_owned()],
    };
    store.create_user(user, None).await?;
    info!(log, "made the first administrator; the file tells the password"; "file" => %path.display());
    Ok(())
}
