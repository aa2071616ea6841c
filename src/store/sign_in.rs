//! Sign-in by an identity provider: what is under way, whose account it is, and codes that are redeemed for tokens.

use deadpool_postgres::Transaction;

use super::Store;
use super::audit::{AuditEntry, note};
use super::error::StoreError;
use super::time::from_us;
use super::user_changes::{ADMINS, begin, give_roles, replace_roles};
use crate::accounts::{Digest, GivenRoles};

/// Names that are tried for a new account before one with random letters is taken.
const TRIES: u32 = 9;
/// What stands for the identity provider of the development login.
pub(crate) const DEVELOPMENT: &str = "development";

/// A sign-in that is under way.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SignIn {
    /// SHA-256 of what the browser keeps.
    pub(crate) browser: Digest,
    /// What has to come back in the token.
    pub(crate) nonce: String,
    /// What redeems the provider's code.
    pub(crate) verifier: String,
    /// Where the browser goes then, and the challenge that its code has.
    pub(crate) onward: Option<Onward>,
}

/// Where a browser goes with a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Onward {
    /// The address.
    pub(crate) return_to: String,
    /// What has to be met to redeem the code.
    pub(crate) challenge: String,
}

/// Somebody whom an identity provider vouches for.
#[derive(Clone, Debug)]
pub(crate) struct Newcomer {
    /// The provider.
    pub(crate) issuer: String,
    /// Their name there, for good.
    pub(crate) subject: String,
    /// The name of their account, if nobody has it.
    pub(crate) username: String,
    /// Tells two of one name apart when numbers are used up.
    pub(crate) suffix: String,
    /// Their mail address, if nobody has it.
    pub(crate) email: Option<String>,
    /// Their roles.
    pub(crate) given: GivenRoles,
}

/// The account of somebody who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedIn {
    /// Its number.
    pub(crate) user: i32,
    /// Its name.
    pub(crate) username: String,
    /// Whether it may not log in.
    pub(crate) disabled: bool,
}

impl Store {
    /// Remembers a sign-in until `until_us`; those that are over are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn begin_sign_in(
        &self,
        state: Digest,
        attempt: SignIn,
        until_us: i64,
    ) -> Result<(), StoreError> {
        self.run(move |client| async move {
            client.execute("delete from sign_ins where expires_at < now()", &[]).await?;
            let insert =
                "insert into sign_ins (state, browser, nonce, verifier, return_to, challenge, expires_at)
                values ($1, $2, $3, $4, $5, $6, $7)";
            let SignIn { browser, nonce, verifier, onward } = &attempt;
            let return_to = onward.as_ref().map(|onward| &onward.return_to);
            let challenge = onward.as_ref().map(|onward| &onward.challenge);
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                [&&state[..], &&browser[..], nonce, verifier, &return_to, &challenge, &from_us(until_us)];
            client.execute(insert, &values).await?;
            Ok(())
        })
        .await
    }

    /// Takes a sign-in that is under way: nobody can take it again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn take_sign_in(
        &self,
        state: Digest,
        now_us: i64,
    ) -> Result<Option<SignIn>, StoreError> {
        self.run(move |client| async move {
            let take = "delete from sign_ins where state = $1
                returning browser, nonce::text, verifier::text, return_to::text, challenge::text, expires_at > $2";
            let row = client.query_opt(take, &[&&state[..], &from_us(now_us)]).await?;
            let Some(row) = row else { return Ok(None) };
            let browser: &[u8] = row.try_get(0)?;
            let (return_to, challenge): (Option<String>, Option<String>) = (row.try_get(3)?, row.try_get(4)?);
            let onward = return_to.zip(challenge);
            let attempt = SignIn {
                // A length that is no digest's matches nobody.
                browser: browser.try_into().unwrap_or_default(),
                nonce: row.try_get(1)?,
                verifier: row.try_get(2)?,
                onward: onward.map(|(return_to, challenge)| Onward { return_to, challenge }),
            };
            Ok(if row.try_get(5)? { Some(attempt) } else { None })
        })
        .await
    }

    /// The account of somebody, made when they come for the first time. Roles follow the provider if it decides,
    /// but the last administrator stays one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a role that there is not, [`StoreError::Unavailable`].
    pub(crate) async fn sign_in(
        &self,
        person: Newcomer,
        audit: Option<AuditEntry>,
    ) -> Result<SignedIn, StoreError> {
        self.run(move |mut client| async move {
            // Two first logins of one person take turns here.
            let (transaction, admins) = begin(&mut client).await?;
            let known = known(&transaction, &person).await?;
            let account = match known {
                Some(account) => {
                    follow(&transaction, account.user, &person.given, admins).await?;
                    account
                }
                None => make(&transaction, &person).await?,
            };
            let audit = audit.map(|entry| AuditEntry {
                actor: account.username.clone(),
                target: account.username.clone(),
                done: !account.disabled,
                ..entry
            });
            note(&transaction, audit.as_ref()).await?;
            transaction.commit().await?;
            Ok(account)
        })
        .await
    }

    /// Keeps a code that is good once; those that are over are forgotten.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn create_sign_in_code(
        &self,
        code: Digest,
        user: i32,
        challenge: String,
        until_us: i64,
    ) -> Result<(), StoreError> {
        self.run(move |client| async move {
            client.execute("delete from sign_in_codes where expires_at < now()", &[]).await?;
            let insert =
                "insert into sign_in_codes (hash, user_id, challenge, expires_at) values ($1, $2, $3, $4)";
            client.execute(insert, &[&&code[..], &user, &challenge, &from_us(until_us)]).await?;
            Ok(())
        })
        .await
    }

    /// The account and the challenge of a code: nobody can redeem it again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn take_sign_in_code(
        &self,
        code: Digest,
        now_us: i64,
    ) -> Result<Option<(i32, String)>, StoreError> {
        self.run(move |client| async move {
            let take = "delete from sign_in_codes where hash = $1 returning user_id, challenge::text, expires_at > $2";
            let row = client.query_opt(take, &[&&code[..], &from_us(now_us)]).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(if row.try_get(2)? { Some((row.try_get(0)?, row.try_get(1)?)) } else { None })
        })
        .await
    }

    /// Closes the accounts that the development login made, for a server that does not have it. How many were open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn close_development_accounts(&self) -> Result<u64, StoreError> {
        self.run(move |mut client| async move {
            let transaction = client.transaction().await?;
            let end = "update refresh_families set revoked_at = coalesce(revoked_at, now())
                where user_id in (select user_id from user_identities where issuer = $1)";
            transaction.execute(end, &[&DEVELOPMENT]).await?;
            let close = "update users set disabled_at = now() where disabled_at is null
                and id in (select user_id from user_identities where issuer = $1)";
            let closed = transaction.execute(close, &[&DEVELOPMENT]).await?;
            transaction.commit().await?;
            Ok(closed)
        })
        .await
    }

    /// Opens the accounts of the development login again, for a server that has it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn open_development_accounts(&self) -> Result<(), StoreError> {
        self.run(move |client| async move {
            let open = "update users set disabled_at = null
                where id in (select user_id from user_identities where issuer = $1)";
            client.execute(open, &[&DEVELOPMENT]).await?;
            Ok(())
        })
        .await
    }
}

async fn known(transaction: &Transaction<'_>, person: &Newcomer) -> Result<Option<SignedIn>, StoreError> {
    let find = "update user_identities i set last_login_at = now() from users u
        where i.issuer = $1 and i.subject = $2 and u.id = i.user_id
        returning u.id, u.username::text, u.disabled_at is not null";
    let row = transaction.query_opt(find, &[&person.issuer, &person.subject]).await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(SignedIn { user: row.try_get(0)?, username: row.try_get(1)?, disabled: row.try_get(2)? }))
}

async fn follow(
    transaction: &Transaction<'_>,
    user: i32,
    given: &GivenRoles,
    admins_before: i64,
) -> Result<(), StoreError> {
    if !given.each_time {
        return Ok(());
    }
    replace_roles(transaction, user, &given.roles).await?;
    let admins: i64 = transaction.query_one(ADMINS, &[]).await?.try_get(0)?;
    if admins == 0 && admins_before > 0 {
        give_roles(transaction, user, &[crate::accounts::roles::ADMIN.to_owned()]).await?;
    }
    Ok(())
}

async fn make(transaction: &Transaction<'_>, person: &Newcomer) -> Result<SignedIn, StoreError> {
    let (user, username) = insert_named(transaction, person).await?;
    give_roles(transaction, user, &person.given.roles).await?;
    let link = "insert into user_identities (issuer, subject, user_id) values ($1, $2, $3)";
    transaction.execute(link, &[&person.issuer, &person.subject, &user]).await?;
    Ok(SignedIn { user, username, disabled: false })
}

/// An account with no password, under the first of its names that is free.
async fn insert_named(transaction: &Transaction<'_>, person: &Newcomer) -> Result<(i32, String), StoreError> {
    let numbered = (2..=TRIES).map(|number| format!("{}-{number}", person.username));
    let last = format!("{}-{}", person.username, person.suffix);
    // A mail address that somebody has stays theirs.
    let insert = "insert into users (username, email, password)
        select $1, case when exists (select 1 from users where lower(email) = lower($2::text)) then null else $2 end, ''
        on conflict (username) do nothing returning id";
    for name in std::iter::once(person.username.clone()).chain(numbered).chain([last]) {
        if let Some(row) = transaction.query_opt(insert, &[&name, &person.email]).await? {
            return Ok((row.try_get(0)?, name));
        }
    }
    Err(StoreError::Conflict { field: "username".into() })
}
