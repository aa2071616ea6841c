//! Leases: which of several servers on one database runs a stream.
//!
//! Each change is one statement, and time is PostgreSQL's alone, so servers whose clocks differ agree. A server
//! takes what is free or over, renews all it has in one statement, and gives back what it stops. What a renewal does
//! not name is lost: another server may run it by now. The reasons are in `docs/adr/0006-leases.md`.

use std::time::Duration;

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

// Free streams have no row or one that is over; a row in force, the caller's own too, is left alone.
const ACQUIRE: &str = "
    insert into stream_leases as lease (stream, owner, fence, lease_until)
    values ($1, $2, 1, clock_timestamp() + $3 * interval '1 millisecond')
    on conflict (stream) do update set
        owner = excluded.owner, fence = lease.fence + 1, lease_until = excluded.lease_until
    where lease.lease_until <= clock_timestamp()
    returning fence";

// A lease that is over is not renewed even if nobody has taken it: its owner may have stopped believing in it.
const RENEW: &str = "
    update stream_leases set lease_until = clock_timestamp() + $2 * interval '1 millisecond'
    where owner = $1 and lease_until > clock_timestamp()
    returning stream, fence";

const RELEASE: &str = "
    update stream_leases set lease_until = '-infinity' where stream = $1 and owner = $2 and fence = $3";

impl Store {
    /// Takes the stream for `owner` if nobody has it; `None` if somebody does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the stream may be taken all the same, and is free again after `time`.
    pub(crate) async fn acquire_lease(
        &self,
        stream: &str,
        owner: &str,
        time: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let (stream, owner, millis) = (stream.to_owned(), owner.to_owned(), millis(time));
        self.run(move |client| async move {
            let row = client.query_opt(ACQUIRE, &[&stream, &owner, &millis]).await?;
            row.map(|row| Ok(Lease { stream, fence: row.try_get(0)? })).transpose()
        })
        .await
    }

    /// Renews all leases of `owner` that are not over, by name. What is missing is lost and has to be stopped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; leases then run on to the end that they had.
    pub(crate) async fn renew_leases(&self, owner: &str, time: Duration) -> Result<Vec<Lease>, StoreError> {
        let (owner, millis) = (owner.to_owned(), millis(time));
        self.run(move |client| async move {
            let rows = client.query(RENEW, &[&owner, &millis]).await?;
            let lease =
                |row: &tokio_postgres::Row| Ok(Lease { stream: row.try_get(0)?, fence: row.try_get(1)? });
            let mut leases = rows.iter().map(lease).collect::<Result<Vec<_>, StoreError>>()?;
            leases.sort_by(|a, b| a.stream.cmp(&b.stream));
            Ok(leases)
        })
        .await
    }

    /// Gives a lease back; false if it had been lost before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the lease is over by itself in time.
    pub(crate) async fn release_lease(&self, lease: &Lease, owner: &str) -> Result<bool, StoreError> {
        let (lease, owner) = (lease.clone(), owner.to_owned());
        self.run(move |client| async move {
            Ok(client.execute(RELEASE, &[&lease.stream, &owner, &lease.fence]).await? == 1)
        })
        .await
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
