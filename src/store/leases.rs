//! Leases: which of several servers on one database runs a stream.
//!
//! Each change is one statement, and time is PostgreSQL's alone, so servers whose clocks differ agree. A server
//! takes what is free or over, renews all it has in one statement, and gives back what it stops. What a renewal does
//! not name is lost: another server may run it by now. The reasons are in `docs/adr/0006-leases.md`.

use std::time::Duration;

use tokio_postgres::Row;

use super::Store;
use super::error::StoreError;

/// A stream that this server may run until the lease is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Name of the stream.
    pub(crate) stream: String,
    /// The fencing number: greater than that of every owner before.
    pub(crate) fence: i64,
}

/// An answer that comes later is of no use: the next try is due.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

// Free streams have no row or one that is over; a row in force, the caller's own too, is left alone. What is in force
// is left out before the insert, which would lock and so write it. Sorted, so that two servers do not deadlock.
const ACQUIRE: &str = "
    insert into stream_leases as lease (stream, owner, fence, lease_until)
    select name, $2, 1, clock_timestamp() + $3 * interval '1 millisecond'
    from (select distinct name from unnest($1::text[]) as name) as wanted
    where not exists (
        select from stream_leases where stream = name and lease_until > clock_timestamp())
    order by name
    on conflict (stream) do update set
        owner = excluded.owner, fence = lease.fence + 1, lease_until = excluded.lease_until
    where lease.lease_until <= clock_timestamp()
    returning stream, fence";

const FREE: &str = "
    select name from unnest($1::text[]) with ordinality as wanted (name, place)
    where not exists (
        select from stream_leases where stream = name and lease_until > clock_timestamp())
    order by place";

// A lease that is over is not renewed even if nobody has taken it: its owner may have stopped believing in it.
const RENEW: &str = "
    update stream_leases set lease_until = clock_timestamp() + $2 * interval '1 millisecond'
    where owner = $1 and lease_until > clock_timestamp()
    returning stream, fence";

const RELEASE: &str = "
    update stream_leases set lease_until = '-infinity' where stream = $1 and owner = $2 and fence = $3";

impl Store {
    /// Takes for `owner` those of `streams` that nobody has, and gives them sorted by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; streams may be taken all the same: a renewal names them.
    pub(crate) async fn acquire_leases(
        &self,
        streams: &[String],
        owner: &str,
        time: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let (streams, owner, millis) = (streams.to_vec(), owner.to_owned(), millis(time));
        self.run_on(&self.0.lease_pool, ANSWER_LIMIT, move |client| async move {
            leases(&client.query(ACQUIRE, &[&streams, &owner, &millis]).await?)
        })
        .await
    }

    /// Those of `streams` that no server has, in their order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn free_streams(&self, streams: &[String]) -> Result<Vec<String>, StoreError> {
        let streams = streams.to_vec();
        self.run_on(&self.0.lease_pool, ANSWER_LIMIT, move |client| async move {
            let rows = client.query(FREE, &[&streams]).await?;
            rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
        .await
    }

    /// Renews all leases of `owner` that are not over, by name. What is missing is lost and has to be stopped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; leases then run on to the end that they had.
    pub(crate) async fn renew_leases(&self, owner: &str, time: Duration) -> Result<Vec<Lease>, StoreError> {
        let (owner, millis) = (owner.to_owned(), millis(time));
        self.run_on(&self.0.renewal_pool, ANSWER_LIMIT, move |client| async move {
            leases(&client.query(RENEW, &[&owner, &millis]).await?)
        })
        .await
    }

    /// Gives a lease back; false if it had been lost before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the lease is over by itself in time.
    pub(crate) async fn release_lease(&self, lease: &Lease, owner: &str) -> Result<bool, StoreError> {
        let (lease, owner) = (lease.clone(), owner.to_owned());
        self.run_on(&self.0.lease_pool, ANSWER_LIMIT, move |client| async move {
            Ok(client.execute(RELEASE, &[&lease.stream, &owner, &lease.fence]).await? == 1)
        })
        .await
    }

    /// How many leases are in force, whoever has them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn count_leases(&self) -> Result<i64, StoreError> {
        self.run(|client| async move {
            let query = "select count(*) from stream_leases where lease_until > clock_timestamp()";
            Ok(client.query_one(query, &[]).await?.try_get(0)?)
        })
        .await
    }
}

fn leases(rows: &[Row]) -> Result<Vec<Lease>, StoreError> {
    let lease = |row: &Row| Ok(Lease { stream: row.try_get(0)?, fence: row.try_get(1)? });
    let mut leases = rows.iter().map(lease).collect::<Result<Vec<_>, StoreError>>()?;
    leases.sort_by(|a, b| a.stream.cmp(&b.stream));
    Ok(leases)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
