//! One private cluster for all tests of a process, and a fresh database in it for each test.
//!
//! The cluster lives as long as the process: nobody drops a static, so a shell waits for the end of its
//! standard input, which comes with the end of this process however it ends, and stops the cluster then.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::embedded::testing::Unowned;
use super::*;

/// What tests say when PostgreSQL is not there.
pub(super) const HINT: &str = "PostgreSQL's programs should be installed: run `make setup`";

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

struct Cluster {
    socket: PathBuf,
    /// Its end tells the shell; never read.
    _shell: Child,
}

/// A folder that PostgreSQL's account may enter, which a temporary folder of root's is not.
pub(crate) fn open_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// A store on an empty database.
pub(crate) fn empty_store() -> Store {
    Store::connect_blocking(StoreSettings::new(StoreTarget::Url(fresh_database()))).unwrap()
}

/// A store on a migrated database.
pub(crate) fn store() -> Store {
    let store = empty_store();
    store.wait(store.migrate_up(None)).unwrap();
    store
}

/// The first column of the first row of `query`, as text.
pub(crate) fn text(store: &Store, query: &str) -> String {
    let query = query.to_owned();
    let ask = store.run(|client| async move {
        let rows = client.simple_query(&query).await?;
        let first = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(first.unwrap_or_default())
    });
    store.wait(ask).unwrap()
}

/// Microseconds of a time of day in UTC; the day is the one given.
pub(crate) fn at(days_since_1970: i64, hour: i64, minute: i64) -> i64 {
    ((days_since_1970 * 24 + hour) * 60 + minute) * 60 * 1_000_000
}

/// Now.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

/// The connection string of a new database.
pub(crate) fn fresh_database() -> String {
    let cluster = CLUSTER.get_or_init(start_cluster);
    let url = |database: &str| format!("host={} user=kinora dbname={database}", cluster.socket.display());
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let maker = Store::connect_blocking(StoreSettings::new(StoreTarget::Url(url("postgres")))).unwrap();
    text(&maker, &format!("create database test_{number}"));
    url(&format!("test_{number}"))
}

fn start_cluster() -> Cluster {
    let folder = open_folder().keep();
    let mut settings = EmbeddedSettings::new(folder.join("pg"));
    settings.stop_timeout = Duration::from_secs(3);
    let Unowned { socket, pid } = embedded::testing::start_unowned(settings).expect(HINT);
    Cluster { socket, _shell: end_with_this_process(pid, &folder) }
}

/// Stops process `pid` and removes `folder` when this process is gone.
fn end_with_this_process(pid: u32, folder: &Path) -> Child {
    // A stopped postmaster removes its file; its process may stay a zombie where nobody waits for orphans.
    let script = r#"trap '' INT TERM; read -r _; kill -QUIT "$0"
        for _ in $(seq 80); do [ -e "$1/pg/data/postmaster.pid" ] || break; sleep 0.1; done
        rm -rf "$1""#;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(script).arg(pid.to_string()).arg(folder);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A store whose database is away: every call says so.
pub(crate) fn store_that_is_away() -> Store {
    let settings = StoreSettings {
        connect_timeout: Duration::from_millis(200),
        ..StoreSettings::new(StoreTarget::Url("postgres://kinora@127.0.0.1:1/kinora".into()))
    };
    let runtime = connection::runtime().unwrap();
    let config: tokio_postgres::Config = "postgres://kinora@127.0.0.1:1/kinora".parse().unwrap();
    let pool = || connection::pool(config.clone(), &settings, 1).unwrap();
    let opened = Opened {
        pool: pool(),
        lease_pool: pool(),
        renewal_pool: pool(),
        history_pool: pool(),
        config: config.clone(),
        cluster: None,
        answer_timeout: Duration::from_secs(1),
        pool_size: 1,
    };
    Store::assemble(runtime, Ok(opened)).unwrap()
}
