//! The store itself: connections, runtimes, errors.

use super::super::testing::{empty_store, store, text};
use super::super::*;

fn unreachable(url: &str) -> StoreError {
    let settings = StoreSettings {
        connect_timeout: Duration::from_secs(1),
        ..StoreSettings::new(StoreTarget::Url(url.into()))
    };
    Store::connect_blocking(settings).unwrap_err()
}

#[test]
fn a_ping_tells_time_and_version() {
    let store = empty_store();
    let ping = store.wait(store.ping()).unwrap();
    assert!(
        ping.elapsed < PING_TIMEOUT && ping.server_version.starts_with(|c: char| c.is_ascii_digit()),
        "{ping:?}"
    );
}

#[test]
fn a_server_that_is_away_is_unavailable_and_passwords_stay_secret() {
    let error = unreachable("postgres://kinora:hunter2@127.0.0.1:1/kinora");
    assert!(error.is_transient(), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let error = unreachable("postgres://kinora:hunter2@[bad/kinora");
    assert!(matches!(error, StoreError::Settings(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn any_runtime_may_await_and_its_end_hurts_no_connection() {
    let store = store();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.list_streams()).unwrap();
    }
    assert_eq!(store.pool_status().size, 1, "one connection served them all");
}

#[test]
fn a_store_may_be_dropped_on_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = empty_store_elsewhere();
        store.ping().await.unwrap();
        store.close().await;
        assert!(store.ping().await.unwrap_err().is_transient());
    });
}

/// [`empty_store`] blocks, which a thread of a runtime must not.
fn empty_store_elsewhere() -> Store {
    std::thread::spawn(empty_store).join().unwrap()
}

#[test]
fn a_connection_that_postgresql_ended_is_replaced_unseen() {
    let store = store();
    store.wait(async { tokio::join!(store.ping(), store.ping()) }).0.unwrap();
    assert_eq!(store.pool_status().size, 2);
    let others = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    assert_eq!(text(&store, others), "t");
    for _ in 0..4 {
        let (one, two) = store.wait(async { tokio::join!(store.ping(), store.ping()) });
        assert!(one.is_ok() && two.is_ok());
    }
}

#[test]
fn a_statement_that_takes_too_long_is_ended() {
    let store = empty_store();
    let sleep = store.run(|client| async move {
        client.batch_execute("set statement_timeout = '50ms'; select pg_sleep(10)").await?;
        Ok(())
    });
    let error = store.wait(sleep).unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[test]
fn an_old_connection_is_replaced_and_a_rush_leaves_no_surplus() {
    let url = super::super::testing::fresh_database();
    let settings = StoreSettings {
        pool_size: 1,
        max_overflow: 2,
        recycle_after: Duration::ZERO,
        ..StoreSettings::new(StoreTarget::Url(url))
    };
    let store = Store::connect_blocking(settings).unwrap();
    assert_ne!(text(&store, "select pg_backend_pid()"), text(&store, "select pg_backend_pid()"));
    store.wait(async { tokio::join!(store.ping(), store.ping(), store.ping(), store.ping()) }).3.unwrap();
    assert_eq!(store.pool_status().max_size, 3);
    connection::close_surplus(&store.0.pool, 1);
    assert_eq!(store.pool_status().size, 1);
}

#[test]
fn a_call_that_takes_too_long_is_ended_in_the_database_too() {
    let store = store();
    let hurried = store.within(Duration::from_millis(300));
    let ask = |query: &'static str| {
        store.wait(hurried.run(move |client| async move { Ok(client.batch_execute(query).await?) }))
    };
    let late = ask("select pg_sleep(30) /* nobody waits so long */");
    assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
    let running = "select count(*) from pg_stat_activity
        where query like '%nobody waits so long%' and state = 'active' and pid <> pg_backend_pid()";
    assert_eq!(text(&store, running), "0");
    assert!(ask("select 1").is_ok());
}
