//! What was made by calls with a key of their own: so that a second try makes nothing.

use super::Store;
use super::error::StoreError;
use crate::accounts::Digest;

/// Keys of one user that are remembered; older ones are forgotten before their time.
const MOST_KEYS: i64 = 1_000;

/// What is known of a key when a call with it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Nothing: the call is the first, and others with this key wait for its end from now on.
    First,
    /// Another call with it has not ended.
    InProgress,
    /// The sealed answer of the call that ended.
    Answered(Vec<u8>),
}

impl Store {
    /// Begins a call with a key. Forgets what is older than a day; a call that is older than a minute and has no
    /// answer was lost with its server, and does not count.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn begin_once(&self, user: i64, key: Digest) -> Result<Begun, StoreError> {
        self.run(move |client| async move {
            let (user, key) = (i32::try_from(user).unwrap_or(0), &key[..]);
            client.execute("delete from made_once where begun_at < now() - interval '24 hours'", &[]).await?;
            let excess = "delete from made_once where user_id = $1 and key in (
                select key from made_once where user_id = $1 order by begun_at desc offset $2)";
            client.execute(excess, &[&user, &(MOST_KEYS - 1)]).await?;
            let begin = "insert into made_once as old (user_id, key) values ($1, $2)
                on conflict (user_id, key) do update set begun_at = now()
                where old.answer is null and old.begun_at < now() - interval '1 minute'";
            if client.execute(begin, &[&user, &key]).await? == 1 {
                return Ok(Begun::First);
            }
            let read = "select answer from made_once where user_id = $1 and key = $2";
            let row = client.query_opt(read, &[&user, &key]).await?;
            let answer: Option<Vec<u8>> = row.map(|row| row.try_get(0)).transpose()?.flatten();
            Ok(answer.map_or(Begun::InProgress, Begun::Answered))
        })
        .await
    }

    /// Ends a call: keeps its sealed answer, or with none forgets its key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn end_once(
        &self,
        user: i64,
        key: Digest,
        answer: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.run(move |client| async move {
            let (user, key) = (i32::try_from(user).unwrap_or(0), &key[..]);
            match &answer {
                Some(answer) => {
                    let keep = "update made_once set answer = $3 where user_id = $1 and key = $2";
                    client.execute(keep, &[&user, &key, answer]).await?
                }
                None => {
                    let forget = "delete from made_once where user_id = $1 and key = $2 and answer is null";
                    client.execute(forget, &[&user, &key]).await?
                }
            };
            Ok(())
        })
        .await
    }
}
