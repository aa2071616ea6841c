//! The schema goes up, down and up again, and strangers are refused.

use super::super::testing::{empty_store, store, text};
use super::super::*;

/// The newest migration.
const NEWEST: i32 = 11;

/// Everything about the schema that a migration can leave behind, as text.
fn schema(store: &Store) -> String {
    let columns =
        "select string_agg(concat_ws(' ', table_name, column_name, data_type, character_maximum_length,
            column_default, is_nullable), e'\n' order by table_name, ordinal_position)
        from information_schema.columns where table_schema = 'public' and table_name <> 'schema_history'";
    let indexes = "select string_agg(indexdef, e'\n' order by indexname) from pg_indexes
        where schemaname = 'public' and tablename <> 'schema_history'";
    format!("{}\n{}", text(store, columns), text(store, indexes))
}

#[test]
fn up_down_and_up_again_gives_the_same_schema() {
    let store = empty_store();
    let empty = schema(&store);
    let applied = store.wait(store.migrate_up(None)).unwrap();
    assert_eq!(
        applied.iter().map(|record| record.version).collect::<Vec<_>>(),
        (1..=NEWEST).collect::<Vec<_>>()
    );
    let full = schema(&store);
    assert_ne!(full, empty);
    assert!(store.wait(store.migrate_up(None)).unwrap().is_empty(), "nothing is left to do");

    for version in (1..=NEWEST).rev() {
        assert_eq!(store.wait(store.migrate_down()).unwrap().map(|record| record.version), Some(version));
    }
    assert_eq!(store.wait(store.migrate_down()).unwrap(), None);
    assert_eq!(schema(&store), empty);

    store.wait(store.migrate_up(Some(1))).unwrap();
    store.wait(store.migrate_up(None)).unwrap();
    assert_eq!(schema(&store), full);
}

#[test]
fn of_accounts_with_one_address_the_oldest_keeps_it_and_invitations_of_nobody_go() {
    let store = empty_store();
    store.wait(store.migrate_up(Some(9))).unwrap();
    text(
        &store,
        "insert into users (username, email, password, created_at) values
            ('young', 'Ada@example.org', '', now()),
            ('old', 'ada@example.org', '', now() - interval '1 day'),
            ('other', 'bob@example.org', '', now());
        insert into one_time_tokens (hash, purpose, user_id, expires_at)
            select username::bytea, 'reset', id, now() + interval '1 hour' from users;
        insert into one_time_tokens (hash, purpose, roles, expires_at)
            values ('x', 'invite', '{admin}', now() + interval '1 day')",
    );
    store.wait(store.migrate_up(None)).unwrap();
    let kept = "select string_agg(concat_ws(' ', username, email), ', ' order by username) from users";
    assert_eq!(text(&store, kept), "old ada@example.org, other bob@example.org, young");
    let told = "select string_agg(concat_ws(' ', actor, action, target), ', ') from audit_log";
    assert_eq!(text(&store, told), "kinora migrate user.address_removed young");
    let waiting = "select string_agg(encode(hash, 'escape'), ' ' order by hash) from one_time_tokens";
    assert_eq!(text(&store, waiting), "old other");
}

#[test]
fn the_history_shows_both_directions_and_what_is_pending() {
    let store = store();
    store.wait(store.migrate_down()).unwrap();
    let state = store.wait(store.migration_status()).unwrap();
    let history: Vec<_> = state.history.iter().map(|record| (record.version, record.up)).collect();
    let up = (1..=NEWEST).map(|version| (version, true));
    assert_eq!(history, up.chain([(NEWEST, false)]).collect::<Vec<_>>());
    assert_eq!(state.version(), NEWEST - 1);
    assert_eq!(state.pending.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [NEWEST]);
    let refused = store.wait(store.check_schema()).unwrap_err();
    assert!(
        matches!(refused, StoreError::NotMigrated { database, binary: NEWEST } if database == NEWEST - 1),
        "{refused}"
    );
    let refused = store.wait(store.migrate_up(Some(999))).unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { .. }), "{refused}");
}

#[test]
fn an_edited_migration_is_noticed() {
    let store = store();
    store.wait(store.check_schema()).unwrap();
    text(&store, "update schema_history set checksum = repeat('0', 64) where version = 1");
    for refused in [store.wait(store.check_schema()), store.wait(store.migrate_up(None)).map(drop)] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::Drift { version: 1, .. }), "{refused}");
    }
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let store = store();
    text(
        &store,
        "insert into schema_history (version, name, checksum, direction) values (999, 'later', '', 'up')",
    );
    for refused in [store.wait(store.check_schema()), store.wait(store.migrate_down()).map(drop)] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::NewerSchema { database: 999, binary: NEWEST }), "{refused}");
        assert!(refused.to_string().contains("newer"), "{refused}");
    }
}

#[test]
fn a_database_without_tables_says_what_to_do() {
    let store = empty_store();
    let refused = store.wait(store.list_streams()).unwrap_err();
    assert!(refused.to_string().contains("kinora migrate up"), "{refused}");
}

#[test]
fn two_programs_that_migrate_at_once_take_turns() {
    let store = empty_store();
    let (one, two) = (store.clone(), store.clone());
    let (one, two) = store.wait(async { tokio::join!(one.migrate_up(None), two.migrate_up(None)) });
    assert_eq!(one.unwrap().len() + two.unwrap().len(), NEWEST as usize);
}
