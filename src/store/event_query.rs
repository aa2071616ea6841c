//! Events by what they are about, page by page, in the order in which they were stored.
//!
//! Such a question may read much and find little. It has connections of its own, so that logins and the writer of rows
//! never wait for it, and PostgreSQL itself ends it before the one who asked gives up.

use std::time::Duration;

use deadpool_postgres::Pool;
use tokio_postgres::{Config, Row};

use super::error::StoreError;
use super::events::{EventRow, event_at};
use super::settings::StoreSettings;
use super::time::from_us;
use super::{Object, Store, connection};

/// Questions that are answered at once; others wait for their turn.
const CONNECTIONS: usize = 3;
/// How long PostgreSQL works at one of them: less than the five seconds of a request.
const LIMIT: Duration = Duration::from_secs(4);

/// Which events; what is absent excludes nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventQuery {
    /// Ids of sessions.
    pub(crate) sessions: Option<Vec<String>>,
    /// Names of streams.
    pub(crate) streams: Option<Vec<String>>,
    /// Names of streams that are kept from the caller.
    pub(crate) hidden: Vec<String>,
    /// Kinds.
    pub(crate) kinds: Option<Vec<String>>,
    /// From this time on, in microseconds since 1970.
    pub(crate) from_us: Option<i64>,
    /// Before this time.
    pub(crate) to_us: Option<i64>,
    /// After the row with this number.
    pub(crate) after: i64,
    /// Up to the row with this number.
    pub(crate) upto: Option<i64>,
    /// At most so many.
    pub(crate) limit: u32,
}

// Planned anew for each question: what is absent is folded away, and the indexes fit what is left. One name alone is said
// as an equality: only so does an index give its rows in their order, and a page is not paid with a look at all of them.
const PAGE: &str = r#"
    select id, session_id, seq, "timestamp", recorded_at, event, payload::text
    from analysis_results
    where id > $1
        and ($2::text[] is null or session_id = any ($2))
        and ($3::text[] is null or cardinality($3) = 1 or payload->>'stream' = any ($3))
        and ($3 is null or cardinality($3) <> 1 or payload->>'stream' = ($3)[1])
        and (cardinality($4::text[]) = 0 or payload->>'stream' <> all ($4))
        and ($5::text[] is null or cardinality($5) = 1 or event = any ($5))
        and ($5 is null or cardinality($5) <> 1 or event = ($5)[1])
        and ($6::timestamptz is null or "timestamp" >= $6)
        and ($7::timestamptz is null or "timestamp" < $7)
        and ($8::bigint is null or id <= $8)
    order by id
    limit $9"#;

impl Store {
    /// A page of events, each with its row's number, which is where the next page goes on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], also when it takes PostgreSQL longer than four seconds to find them.
    pub(crate) async fn query_events(&self, query: EventQuery) -> Result<Vec<(i64, EventRow)>, StoreError> {
        self.run_on(&self.0.history_pool, self.0.answer_timeout, move |client| async move {
            let rows = ask(&client, PAGE, &query).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, event_at(row, 1)?))).collect()
        })
        .await
    }
}

/// The rows of `statement`, which takes the values that [`PAGE`] takes.
async fn ask(client: &Object, statement: &str, query: &EventQuery) -> Result<Vec<Row>, StoreError> {
    let EventQuery { sessions, streams, hidden, kinds, after, upto, limit, .. } = query;
    let (from, to) = (query.from_us.map(from_us), query.to_us.map(from_us));
    let limit = i64::from(*limit);
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [after, sessions, streams, hidden, kinds, &from, &to, upto, &limit];
    Ok(client.query(statement, &values).await?)
}

/// The connections for such questions, made as `config` says; none is opened yet.
///
/// # Errors
/// As [`connection::pool`].
pub(super) fn pool(config: &Config, settings: &StoreSettings) -> Result<Pool, StoreError> {
    let mut config = config.clone();
    let settings =
        StoreSettings { statement_timeout: settings.statement_timeout.min(LIMIT), ..settings.clone() };
    connection::tell_first(&mut config, &settings);
    connection::pool(config, &settings, CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::store::StoreTarget;
    use crate::store::testing::{at, fresh_database, store, text};

    /// A day that no test's clock is near; 2024-10-04.
    const DAY: i64 = 20_000;

    fn row(seq: i64, event: &str, stream: &str) -> EventRow {
        EventRow {
            session_id: "s".into(),
            seq,
            timestamp_us: at(DAY, 12, 0) + seq,
            recorded_at_us: at(DAY, 12, 0) + seq,
            event: event.into(),
            payload: format!(r#"{{"seq":{seq},"stream":"{stream}"}}"#),
        }
    }

    fn plan(store: &Store, query: &EventQuery) -> String {
        let query = query.clone();
        let explained = store.run(move |client| async move {
            let rows = ask(&client, &format!("explain (costs off) {PAGE}"), &query).await?;
            let lines: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            Ok(lines?.join("\n"))
        });
        store.wait(explained).unwrap()
    }

    #[test]
    fn a_rare_kind_and_a_quiet_stream_are_found_by_their_indexes_and_in_order() {
        let store = store();
        store.wait(store.ensure_partitions(at(DAY, 0, 0), 0)).unwrap();
        let kind = |seq: i64| if seq % 1_000 == 0 { "sessionEnded" } else { "frameAnalyzed" };
        let stream = |seq: i64| if seq % 700 == 0 { "quiet" } else { "cam" };
        let rows: Vec<EventRow> = (1..=3_000).map(|seq| row(seq, kind(seq), stream(seq))).collect();
        store.wait(store.insert_events(&rows)).unwrap();
        text(&store, "analyze analysis_results");
        let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let all = EventQuery { limit: 100, ..EventQuery::default() };
        let found = |query: &EventQuery| -> Vec<i64> {
            let page = store.wait(store.query_events(query.clone())).unwrap();
            page.iter().map(|(_, row)| row.seq).collect()
        };

        for kinds in [&["sessionEnded"][..], &["sessionEnded", "gap"]] {
            let rare = EventQuery { kinds: names(kinds), ..all.clone() };
            assert!(plan(&store, &rare).contains("p20241004_event_id_idx"), "{}", plan(&store, &rare));
            assert_eq!(found(&rare), [1_000, 2_000, 3_000]);
        }
        for streams in [&["quiet"][..], &["quiet", "nowhere"]] {
            let quiet = EventQuery { streams: names(streams), ..all.clone() };
            assert!(plan(&store, &quiet).contains("p20241004_expr_id_idx"), "{}", plan(&store, &quiet));
            assert_eq!(found(&quiet), [700, 1_400, 2_100, 2_800]);
        }
        let busy = plan(&store, &EventQuery { streams: names(&["cam"]), ..all.clone() });
        assert!(busy.contains("p20241004_expr_id_idx") && busy.contains("Merge Append"), "{busy}");
        assert_eq!(found(&EventQuery { streams: names(&[]), ..all.clone() }), [0_i64; 0]);
        assert_eq!(found(&EventQuery { after: 5, upto: Some(8), ..all }), [6, 7, 8]);
    }

    #[test]
    fn questions_about_events_that_take_too_long_are_ended_and_hold_up_nobody_else() {
        let settings = StoreSettings {
            pool_size: 1,
            max_overflow: 0,
            statement_timeout: Duration::from_secs(2),
            ..StoreSettings::new(StoreTarget::Url(fresh_database()))
        };
        let store = Store::connect_blocking(settings).unwrap();
        store.wait(store.migrate_up(None)).unwrap();
        store.wait(store.insert_events(&[row(1, "frameAnalyzed", "cam")])).unwrap();
        let slow = "alter table analysis_results rename to kept;
            create view analysis_results as select kept.* from kept, (select pg_sleep(10)) as nap";
        text(&store, slow);
        let asked: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (store, handle) = (store.clone(), store.handle().clone());
                let query = EventQuery { limit: 1, ..EventQuery::default() };
                handle.spawn(async move { store.query_events(query).await })
            })
            .collect();
        // The one connection of all others answers while three questions are under way.
        let under_way = "select count(*) from pg_stat_activity where datname = current_database()
            and state = 'active' and pid <> pg_backend_pid() and query like '%payload->>%'";
        let begun = Instant::now();
        while text(&store, under_way) != CONNECTIONS.to_string() {
            assert!(begun.elapsed() < Duration::from_secs(5), "the questions should be under way at once");
        }
        for question in asked {
            let refused = store.wait(question).unwrap().unwrap_err();
            assert!(refused.is_transient(), "{refused}");
        }
    }

    #[test]
    fn postgresql_ends_a_question_about_events_before_a_request_gives_up() {
        let store = store();
        let limit = |pool: &Pool| {
            let ask = store.run_on(pool, Duration::from_secs(5), |client| async move {
                let query = "select current_setting('statement_timeout')";
                Ok(client.query_one(query, &[]).await?.try_get::<_, String>(0)?)
            });
            store.wait(ask).unwrap()
        };
        assert_eq!((limit(&store.0.history_pool), limit(&store.0.pool)), ("4s".to_owned(), "30s".to_owned()));
    }
}
