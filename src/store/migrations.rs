//! Migrations: numbered steps of the schema, up and down, with their history in the database.
//!
//! Each step is one transaction that first takes a lock and then reads where the schema stands, so two
//! programs that migrate at once take turns and a step that fails leaves nothing behind. The history keeps
//! both directions; a migration is applied if its last row says `up`. Checksums tell when an applied file was
//! edited.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Transaction};
use sha2::{Digest, Sha256};

use super::error::StoreError;
use super::time::to_us;
use super::{Object, Store};

/// One step of the schema.
struct Migration {
    version: i32,
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

/// All steps, oldest first.
const MIGRATIONS: [Migration; 11] = [
    Migration {
        version: 1,
        name: "streams_sessions_events",
        up: include_str!("../../migrations/0001_streams_sessions_events.up.sql"),
        down: include_str!("../../migrations/0001_streams_sessions_events.down.sql"),
    },
    Migration {
        version: 2,
        name: "users_roles",
        up: include_str!("../../migrations/0002_users_roles.up.sql"),
        down: include_str!("../../migrations/0002_users_roles.down.sql"),
    },
    Migration {
        version: 3,
        name: "keys_tickets",
        up: include_str!("../../migrations/0003_keys_tickets.up.sql"),
        down: include_str!("../../migrations/0003_keys_tickets.down.sql"),
    },
    Migration {
        version: 4,
        name: "accounts",
        up: include_str!("../../migrations/0004_accounts.up.sql"),
        down: include_str!("../../migrations/0004_accounts.down.sql"),
    },
    Migration {
        version: 5,
        name: "roles_audit",
        up: include_str!("../../migrations/0005_roles_audit.up.sql"),
        down: include_str!("../../migrations/0005_roles_audit.down.sql"),
    },
    Migration {
        version: 6,
        name: "leases",
        up: include_str!("../../migrations/0006_leases.up.sql"),
        down: include_str!("../../migrations/0006_leases.down.sql"),
    },
    Migration {
        version: 7,
        name: "stream_orders",
        up: include_str!("../../migrations/0007_stream_orders.up.sql"),
        down: include_str!("../../migrations/0007_stream_orders.down.sql"),
    },
    Migration {
        version: 8,
        name: "idempotency",
        up: include_str!("../../migrations/0008_idempotency.up.sql"),
        down: include_str!("../../migrations/0008_idempotency.down.sql"),
    },
    Migration {
        version: 9,
        name: "sign_in",
        up: include_str!("../../migrations/0009_sign_in.up.sql"),
        down: include_str!("../../migrations/0009_sign_in.down.sql"),
    },
    Migration {
        version: 10,
        name: "invitations_addresses",
        up: include_str!("../../migrations/0010_invitations_addresses.up.sql"),
        down: include_str!("../../migrations/0010_invitations_addresses.down.sql"),
    },
    Migration {
        version: 11,
        name: "event_indexes",
        up: include_str!("../../migrations/0011_event_indexes.up.sql"),
        down: include_str!("../../migrations/0011_event_indexes.down.sql"),
    },
];

/// A step of a large table may take long; a lock that is never given may not.
const STEP_LIMIT: Duration = Duration::from_secs(3_600);
/// Names the lock among PostgreSQL's advisory locks: "kinora" and what for.
const LOCK: i64 = 0x6b69_6e6f_7261_0001;

const HISTORY: &str = "create table if not exists schema_history (
    id bigserial primary key,
    version integer not null,
    name varchar(128) not null,
    checksum char(64) not null,
    direction varchar(4) not null check (direction in ('up', 'down')),
    applied_at timestamptz not null default now()
)";

/// One row of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MigrationRecord {
    /// Number of the migration.
    pub(crate) version: i32,
    /// Its name.
    pub(crate) name: String,
    /// SHA-256 of its `up` file, in hexadecimal.
    pub(crate) checksum: String,
    /// `true` for up.
    pub(crate) up: bool,
    /// When, in microseconds since 1970.
    pub(crate) applied_at_us: i64,
}

/// Where the schema stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MigrationState {
    /// Migrations in force, oldest first.
    pub(crate) applied: Vec<MigrationRecord>,
    /// Number and name of those that this program would apply.
    pub(crate) pending: Vec<(i32, String)>,
    /// Everything that was done, oldest first.
    pub(crate) history: Vec<MigrationRecord>,
}

impl MigrationState {
    /// Number of the newest migration in force; 0 for none.
    pub(crate) fn version(&self) -> i32 {
        self.applied.last().map_or(0, |record| record.version)
    }

    fn of(history: Vec<MigrationRecord>) -> Self {
        let mut applied: Vec<MigrationRecord> = Vec::new();
        for record in &history {
            applied.retain(|earlier| earlier.version != record.version);
            if record.up {
                applied.push(record.clone());
            }
        }
        applied.sort_by_key(|record| record.version);
        let is_pending = |step: &&Migration| applied.iter().all(|record| record.version != step.version);
        let pending =
            MIGRATIONS.iter().filter(is_pending).map(|step| (step.version, step.name.into())).collect();
        Self { applied, pending, history }
    }

    /// Refuses a schema that this program does not know or that was made from other files.
    fn check(&self) -> Result<(), StoreError> {
        let binary = newest();
        if self.version() > binary {
            return Err(StoreError::NewerSchema { database: self.version(), binary });
        }
        let drifted = |record: &&MigrationRecord| {
            find(record.version).is_none_or(|step| step.checksum() != record.checksum)
        };
        match self.applied.iter().find(drifted) {
            Some(record) => Err(StoreError::Drift { version: record.version, name: record.name.clone() }),
            None => Ok(()),
        }
    }
}

impl Store {
    /// Applies all pending migrations, or those up to number `to`; returns what was applied.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::Drift`], [`StoreError::NotFound`] for a number that there
    /// is not, [`StoreError::Query`] for a step that failed; steps before it stay.
    pub(crate) async fn migrate_up(&self, to: Option<i32>) -> Result<Vec<MigrationRecord>, StoreError> {
        let to = to.unwrap_or_else(newest);
        if find(to).is_none() {
            return Err(StoreError::NotFound { what: format!("migration {to}") });
        }
        self.run_within(STEP_LIMIT, move |mut client| async move {
            let mut done = Vec::new();
            while let Some(record) = step_up(&mut client, to).await? {
                done.push(record);
            }
            Ok(done)
        })
        .await
    }

    /// Takes the newest migration back; returns it, or `None` for an empty schema. Its tables' rows are lost.
    ///
    /// # Errors
    /// As [`Store::migrate_up`].
    pub(crate) async fn migrate_down(&self) -> Result<Option<MigrationRecord>, StoreError> {
        self.run_within(STEP_LIMIT, |mut client| async move { step_down(&mut client).await }).await
    }

    /// Where the schema stands; tells of a newer or edited one by its content and not as an error.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn migration_status(&self) -> Result<MigrationState, StoreError> {
        self.run(|client| async move { Ok(MigrationState::of(history(&client).await?)) }).await
    }

    /// Whether this program can work with the database.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::Drift`], [`StoreError::NotMigrated`].
    pub(crate) async fn check_schema(&self) -> Result<(), StoreError> {
        let state = self.migration_status().await?;
        state.check()?;
        if state.pending.is_empty() {
            return Ok(());
        }
        Err(StoreError::NotMigrated { database: state.version(), binary: newest() })
    }
}

/// Number of the newest migration of this program.
pub(super) fn newest() -> i32 {
    MIGRATIONS.iter().map(|step| step.version).max().unwrap_or(0)
}

impl Migration {
    fn checksum(&self) -> String {
        Sha256::digest(self.up.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn find(version: i32) -> Option<&'static Migration> {
    MIGRATIONS.iter().find(|step| step.version == version)
}

/// Applies the oldest pending migration that is not beyond `to`.
async fn step_up(client: &mut Object, to: i32) -> Result<Option<MigrationRecord>, StoreError> {
    let transaction = client.transaction().await?;
    let state = locked_state(&transaction).await?;
    let next = state.pending.first().map(|(version, _)| *version).filter(|&version| version <= to);
    let Some(step) = next.and_then(find) else { return Ok(None) };
    finish(transaction, step, true).await.map(Some)
}

async fn step_down(client: &mut Object) -> Result<Option<MigrationRecord>, StoreError> {
    let transaction = client.transaction().await?;
    let state = locked_state(&transaction).await?;
    let Some(step) = find(state.version()) else { return Ok(None) };
    finish(transaction, step, false).await.map(Some)
}

/// Takes the lock until the transaction ends and reads where the schema stands.
async fn locked_state(transaction: &Transaction<'_>) -> Result<MigrationState, StoreError> {
    transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    transaction
        .batch_execute("set local client_min_messages = warning; set local statement_timeout = 0")
        .await?;
    transaction.batch_execute(HISTORY).await?;
    let state = MigrationState::of(history(transaction).await?);
    state.check().map(|()| state)
}

/// Runs `step` and writes it down, in the same transaction.
async fn finish(
    transaction: Transaction<'_>,
    step: &Migration,
    up: bool,
) -> Result<MigrationRecord, StoreError> {
    transaction.batch_execute(if up { step.up } else { step.down }).await?;
    let insert = "insert into schema_history (version, name, checksum, direction) values ($1, $2, $3, $4)
        returning version, name, checksum, direction, applied_at";
    let direction = if up { "up" } else { "down" };
    let row =
        transaction.query_one(insert, &[&step.version, &step.name, &step.checksum(), &direction]).await?;
    let written = record(&row)?;
    transaction.commit().await?;
    Ok(written)
}

/// The history, oldest first; empty where nothing was ever migrated.
async fn history(client: &impl GenericClient) -> Result<Vec<MigrationRecord>, StoreError> {
    let there = client.query_one("select to_regclass('schema_history') is not null", &[]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(Vec::new());
    }
    let query = "select version, name, checksum, direction, applied_at from schema_history order by id";
    client.query(query, &[]).await?.iter().map(record).collect()
}

fn record(row: &tokio_postgres::Row) -> Result<MigrationRecord, StoreError> {
    Ok(MigrationRecord {
        version: row.try_get(0)?,
        name: row.try_get(1)?,
        checksum: row.try_get(2)?,
        up: row.try_get::<_, &str>(3)? == "up",
        applied_at_us: to_us(row.try_get(4)?),
    })
}
