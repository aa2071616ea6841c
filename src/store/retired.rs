//! What deleted streams were limited to: their events stay, so the limits stay too.

use deadpool_postgres::Transaction;

use super::Store;
use super::error::StoreError;

impl Store {
    /// Streams, deleted ones included, that are limited to roles and are seen with one of these.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn streams_limited_to(&self, roles: &[String]) -> Result<Vec<String>, StoreError> {
        let roles = roles.to_vec();
        self.run(move |client| async move {
            let select = "
                select s.name::text from streams s join stream_roles sr on sr.stream_id = s.id
                    join roles r on r.id = sr.role_id where r.name = any ($1::text[])
                union
                select tr.stream::text from retired_stream_roles tr
                    join roles r on r.id = tr.role_id where r.name = any ($1::text[])";
            client.query(select, &[&roles]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
        .await
    }
}

/// Keeps the limit of a stream that is about to be deleted, if it has one.
pub(super) async fn retire(transaction: &Transaction<'_>, stream: i64) -> Result<(), StoreError> {
    let keep = "insert into retired_streams (name)
        select s.name from streams s
        where s.id = $1 and exists (select 1 from stream_roles sr where sr.stream_id = s.id)
        on conflict (name) do nothing returning name";
    if transaction.query_opt(keep, &[&stream]).await?.is_some() {
        let roles = "insert into retired_stream_roles (stream, role_id)
            select s.name, sr.role_id from streams s join stream_roles sr on sr.stream_id = s.id where s.id = $1";
        transaction.execute(roles, &[&stream]).await?;
    }
    Ok(())
}

/// The limit of a deleted stream is over: one of its name was made by somebody who saw it.
pub(super) async fn replaced(transaction: &Transaction<'_>, name: &str) -> Result<(), StoreError> {
    transaction.execute("delete from retired_streams where name = $1", &[&name]).await?;
    Ok(())
}
