//! Partitions of the events: made ahead of time, dropped when they are too old or too much.
//!
//! A partition is a day of `recorded_at` in UTC. Dropping one is instant, where deleting its rows is not. Two
//! things are less simple. Rows whose day had no partition are in the default partition, and PostgreSQL
//! refuses a partition for rows that the default one holds: they are moved in the same transaction. And a day
//! can be larger than all that may be kept (200 rows/s are 36 GB), so the current partition is split when it
//! has outgrown its share: what was written so far becomes a partition that can be dropped before midnight.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Transaction};

use super::error::StoreError;
use super::time::{from_us, to_us};
use super::{Object, Store};

/// Moving the rows of a day takes its time, and nobody waits for it.
const LIMIT: Duration = Duration::from_secs(600);
/// The current partition is split at this share of what may be kept; retention is exact to it.
const SHARES: u64 = 8;
/// Names the lock among PostgreSQL's advisory locks: "kinora" and what for.
const LOCK: i64 = 0x6b69_6e6f_7261_0002;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Events of days that ended so long ago go; `None`: no limit.
    pub(crate) max_age: Option<Duration>,
    /// The oldest go when all take more, indexes included; `None`: no limit. The current partition stays.
    pub(crate) max_bytes: Option<u64>,
}

/// What [`Store::enforce_retention`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetentionOutcome {
    /// Partitions that are gone, oldest first.
    pub(crate) dropped: Vec<String>,
    /// Rows that are gone from the default partition.
    pub(crate) deleted_rows: u64,
    /// The partition that continues the current one after a split.
    pub(crate) split_off: Option<String>,
    /// Bytes that are left, indexes included.
    pub(crate) bytes: u64,
}

/// A partition; the default one has no bounds.
#[derive(Debug)]
struct Partition {
    name: String,
    bounds_us: Option<(i64, i64)>,
    bytes: u64,
}

const LIST: &str = r"
    select c.relname::text, bound[1]::timestamptz, bound[2]::timestamptz, pg_total_relation_size(c.oid)
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    left join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \('(.*)'\) TO \('(.*)'\)$$)
        as bound on true
    where i.inhparent = 'analysis_results'::regclass
    order by bound[1]::timestamptz nulls last";

/// Days that should have a partition and of which no part has one, as `YYYYMMDD`.
const MISSING: &str = r"
    with wanted as (
        select generate_series(date_trunc('day', $1::timestamptz),
            date_trunc('day', $1::timestamptz) + make_interval(days => $2), '1 day') as day
        union
        select distinct date_trunc('day', recorded_at) from analysis_results_default
    ), taken as (
        select bound[1]::timestamptz as low, bound[2]::timestamptz as high
        from pg_inherits i
        join pg_class c on c.oid = i.inhrelid
        cross join lateral regexp_match(pg_get_expr(c.relpartbound, c.oid), $$FROM \('(.*)'\) TO \('(.*)'\)$$)
            as bound
        where i.inhparent = 'analysis_results'::regclass
    )
    select to_char(day, 'YYYYMMDD') from wanted
    where not exists (select from taken where low < day + interval '1 day' and high > day)
    order by day";

impl Store {
    /// Makes the partitions of today, of `days_ahead` more days and of every day that has rows in the default
    /// partition, and moves those rows; returns the names of new ones.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also when the table stayed busy for too long;
    /// [`StoreError::NotMigrated`].
    pub(crate) async fn ensure_partitions(
        &self,
        now_us: i64,
        days_ahead: u16,
    ) -> Result<Vec<String>, StoreError> {
        self.run_within(LIMIT, move |mut client| async move {
            let values = (from_us(now_us), i32::from(days_ahead));
            // Nearly every call finds nothing to do; it takes no lock.
            if client.query(MISSING, &[&values.0, &values.1]).await?.is_empty() {
                return Ok(Vec::new());
            }
            let transaction = locked(&mut client).await?;
            transaction.batch_execute("lock table analysis_results_default in access exclusive mode").await?;
            let mut made = Vec::new();
            for row in transaction.query(MISSING, &[&values.0, &values.1]).await? {
                made.push(make_day(&transaction, row.try_get(0)?).await?);
            }
            reclaim_default(&transaction).await?;
            transaction.commit().await?;
            Ok(made)
        })
        .await
    }

    /// Drops what is too old, then the oldest of what is too much; never the partition of `now_us`.
    ///
    /// # Errors
    /// As [`Store::ensure_partitions`].
    pub(crate) async fn enforce_retention(
        &self,
        now_us: i64,
        keep: Retention,
    ) -> Result<RetentionOutcome, StoreError> {
        self.run_within(LIMIT, move |mut client| async move {
            let age = keep.max_age.map(|age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
            let cutoff_us = age.map(|age| now_us.saturating_sub(age));
            let deleted_rows = delete_from_default(&mut client, cutoff_us).await?;
            let mut outcome = RetentionOutcome { deleted_rows, ..RetentionOutcome::default() };
            let partitions = list(&client).await?;
            outcome.bytes = partitions.iter().map(|partition| partition.bytes).sum();
            for partition in partitions.iter().filter(|partition| partition.is_before(now_us)) {
                let too_old = partition.is_before(cutoff_us.unwrap_or(i64::MIN));
                if too_old || keep.max_bytes.is_some_and(|limit| outcome.bytes > limit) {
                    drop_partition(&mut client, &partition.name).await?;
                    outcome.bytes -= partition.bytes;
                    outcome.dropped.push(partition.name.clone());
                }
            }
            let share = keep.max_bytes.map_or(u64::MAX, |limit| limit / SHARES);
            let outgrown =
                partitions.iter().find(|partition| partition.holds(now_us) && partition.bytes > share);
            if let Some(partition) = outgrown {
                outcome.split_off = split(&mut client, partition, now_us).await?;
            }
            Ok(outcome)
        })
        .await
    }
}

impl Partition {
    /// Whether it ended before or at `us`; never the default one.
    fn is_before(&self, us: i64) -> bool {
        self.bounds_us.is_some_and(|(_, high)| high <= us)
    }

    fn holds(&self, us: i64) -> bool {
        self.bounds_us.is_some_and(|(low, high)| (low..high).contains(&us))
    }
}

/// A transaction of this module's: one at a time, patient with rows, impatient with locks.
async fn locked(client: &mut Object) -> Result<Transaction<'_>, StoreError> {
    let transaction = client.transaction().await?;
    transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    // Whoever waits for a table lock makes every later reader and writer wait behind it.
    transaction.batch_execute("set local statement_timeout = 0; set local lock_timeout = '5s'").await?;
    Ok(transaction)
}

/// Makes the partition of a day, `YYYYMMDD`, and moves the day's rows into it.
async fn make_day(transaction: &Transaction<'_>, day: &str) -> Result<String, StoreError> {
    let name = format!("analysis_results_p{day}");
    let (low, high) = (
        format!("timestamptz '{day} 00:00 UTC'"),
        format!("timestamptz '{day} 00:00 UTC' + interval '1 day'"),
    );
    // Made apart and attached, because only so can it be filled before PostgreSQL looks at the default one.
    let statements = format!(
        "create table {name} (like analysis_results including all);
         with moved as (
             delete from analysis_results_default where recorded_at >= {low} and recorded_at < {high}
             returning *
         ) insert into {name} select * from moved;
         alter table analysis_results attach partition {name} for values from ({low}) to ({high})"
    );
    transaction.batch_execute(&statements).await?;
    Ok(name)
}

/// Gives the space of an empty default partition back; deleted rows would keep it until a vacuum.
async fn reclaim_default(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let empty = "select not exists (select from analysis_results_default)";
    if transaction.query_one(empty, &[]).await?.try_get(0)? {
        transaction.batch_execute("truncate analysis_results_default").await?;
    }
    Ok(())
}

async fn delete_from_default(client: &mut Object, cutoff_us: Option<i64>) -> Result<u64, StoreError> {
    let Some(cutoff_us) = cutoff_us else { return Ok(0) };
    let transaction = locked(client).await?;
    let delete = "delete from analysis_results_default where recorded_at < $1";
    let deleted = transaction.execute(delete, &[&from_us(cutoff_us)]).await?;
    transaction.commit().await?;
    Ok(deleted)
}

async fn drop_partition(client: &mut Object, name: &str) -> Result<(), StoreError> {
    let transaction = locked(client).await?;
    transaction.batch_execute(&format!("drop table if exists {name}")).await?;
    Ok(transaction.commit().await?)
}

/// Ends `partition` at the next second and continues it with a new one; `None` if too little of it is left.
async fn split(
    client: &mut Object,
    partition: &Partition,
    now_us: i64,
) -> Result<Option<String>, StoreError> {
    let Some((low_us, high_us)) = partition.bounds_us else { return Ok(None) };
    let second = 1_000_000;
    let cut_us = now_us - now_us.rem_euclid(second) + second;
    if cut_us >= high_us {
        return Ok(None);
    }
    let transaction = locked(client).await?;
    let [low, cut, high] = [low_us, cut_us, high_us].map(from_us);
    let query = "select to_char($2::timestamptz, 'YYYYMMDD_HH24MISS'),
        $1::timestamptz::text, $2::timestamptz::text, $3::timestamptz::text";
    let row = transaction.query_one(query, &[&low, &cut, &high]).await?;
    let [stamp, low, cut, high]: [String; 4] =
        [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
    let (old, new) = (&partition.name, format!("analysis_results_p{stamp}"));
    // Attaching reads the old rows once; events wait in the journal meanwhile. A row from the future makes it
    // fail as a whole, to be tried again.
    let statements = format!(
        "alter table analysis_results detach partition {old};
         alter table analysis_results attach partition {old} for values from ('{low}') to ('{cut}');
         create table {new} (like analysis_results including all);
         alter table analysis_results attach partition {new} for values from ('{cut}') to ('{high}')"
    );
    transaction.batch_execute(&statements).await?;
    transaction.commit().await?;
    Ok(Some(new))
}

/// All partitions, oldest first, the default one last.
async fn list(client: &Object) -> Result<Vec<Partition>, StoreError> {
    let rows = client.query(LIST, &[]).await?;
    let partition = |row: &tokio_postgres::Row| {
        let low: Option<_> = row.try_get(1)?;
        let high: Option<_> = row.try_get(2)?;
        let bytes: i64 = row.try_get(3)?;
        Ok(Partition {
            name: row.try_get(0)?,
            bounds_us: low.zip(high).map(|(low, high)| (to_us(low), to_us(high))),
            bytes: bytes.unsigned_abs(),
        })
    };
    rows.iter().map(partition).collect()
}
