//! Sessions, streams and users.

use super::super::testing::{at, now_us, store, text};
use super::super::*;

fn session(id: &str, started_at_us: i64) -> SessionRow {
    SessionRow {
        id: id.into(),
        stream: "front-door".into(),
        started_at_us,
        end: None,
        provenance: r#"{"model": "pose"}"#.into(),
        account: r#"{"received": 1}"#.into(),
        last_seq: 1,
        epoch: 1,
    }
}

pub(super) fn user(name: &str, email: &str, roles: &[&str]) -> NewUser {
    NewUser {
        username: name.into(),
        email: Some(email.into()),
        password_hash: "$2b$12$secret".into(),
        roles: roles.iter().map(ToString::to_string).collect(),
    }
}

fn disabling() -> UserChange {
    UserChange { disabled: Some(true), ..UserChange::default() }
}

fn viewing() -> UserChange {
    UserChange { roles: Some(vec!["viewer".into()]), ..UserChange::default() }
}

fn password(hash: &str) -> UserChange {
    UserChange { password_hash: Some(hash.into()), ..UserChange::default() }
}

#[test]
fn a_session_grows_and_is_closed_once() {
    let store = store();
    let mut row = session("a", at(1, 0, 0));
    store.wait(store.upsert_session(&row)).unwrap();
    (row.last_seq, row.epoch, row.account) = (9, 2, r#"{"received": 9}"#.into());
    store.wait(store.upsert_session(&row)).unwrap();
    // A late writer takes nothing back.
    store.wait(store.upsert_session(&SessionRow { last_seq: 5, ..row.clone() })).unwrap();
    assert_eq!(store.wait(store.find_session("a")).unwrap(), Some(row.clone()));

    let end = |reason: &str| SessionEnd { at_us: at(1, 1, 0), reason: reason.into() };
    store.wait(store.close_session("a", &end("stopped"), &row.account, 12)).unwrap();
    store.wait(store.close_session("a", &end("again"), &row.account, 12)).unwrap();
    let expected = SessionRow { end: Some(end("stopped")), last_seq: 12, ..row };
    let of_door = store.list_sessions(Some(vec!["front-door".into()]), Vec::new(), 10);
    assert_eq!(store.wait(of_door).unwrap(), [expected]);
    let refused = store.wait(store.close_session("b", &end("x"), "{}", 1)).unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { .. }), "{refused}");
}

#[test]
fn a_restart_closes_what_was_open_at_its_last_event() {
    let store = store();
    let end = SessionEnd { at_us: at(2, 0, 0), reason: "restart".into() };
    let closed =
        SessionRow { end: Some(SessionEnd { at_us: 5, reason: "done".into() }), ..session("old", 1) };
    store.wait(store.upsert_session(&closed)).unwrap();
    store.wait(store.upsert_session(&session("open", 2))).unwrap();
    let event = EventRow {
        session_id: "open".into(),
        seq: 77,
        timestamp_us: 2,
        recorded_at_us: 2,
        event: "frameAnalyzed".into(),
        payload: "{}".into(),
    };
    store.wait(store.insert_events(&[event])).unwrap();
    assert_eq!(store.wait(store.close_open_sessions(&end)).unwrap(), ["open"]);
    let rows = store.wait(store.list_sessions(None, Vec::new(), 10)).unwrap();
    assert_eq!(rows, [SessionRow { end: Some(end), last_seq: 77, ..session("open", 2) }, closed]);
}

#[test]
fn sessions_that_are_not_seen_take_no_room_of_those_that_are() {
    let store = store();
    for (number, stream) in ["lobby", "yard", "vault", "vault", "vault"].into_iter().enumerate() {
        let row = SessionRow { stream: stream.into(), ..session(&number.to_string(), number as i64) };
        store.wait(store.upsert_session(&row)).unwrap();
    }
    let list = |streams: Option<&[&str]>, hidden: &[&str], limit| {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rows = store.wait(store.list_sessions(streams.map(names), names(hidden), limit)).unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, &[], 3), ["4", "3", "2"]);
    assert_eq!(list(None, &["vault"], 3), ["1", "0"]);
    assert_eq!(list(Some(&["vault", "lobby"]), &["vault"], 3), ["0"]);
    assert_eq!(list(Some(&["lobby"]), &[], 1), ["0"]);
    assert_eq!(list(Some(&[]), &[], 3), [""; 0]);
}

#[test]
fn only_sessions_of_lost_servers_are_ended_and_only_when_nothing_more_comes_in() {
    let store = store();
    let leased = |id: &str, fence: u32, started_at_us: i64| SessionRow {
        provenance: format!(r#"{{"lease": {{"owner": "a", "fence": {fence}}}}}"#),
        stream: "door".into(),
        ..session(id, started_at_us)
    };
    for row in [leased("lost", 1, 5), leased("young", 1, 100), leased("runs", 2, 5)] {
        store.wait(store.upsert_session(&row)).unwrap();
    }
    store
        .wait(store.upsert_session(&SessionRow { stream: "gone".into(), ..session("no lease", 5) }))
        .unwrap();
    text(
        &store,
        "insert into stream_leases values ('door', 'b', 2, clock_timestamp() + interval '1 minute')",
    );
    let end = SessionEnd { at_us: 200, reason: "restart".into() };
    let ended = |before_us| {
        let mut ended = store.wait(store.close_lost_sessions(&end, before_us)).unwrap();
        ended.sort();
        ended
    };
    assert_eq!(ended(50), ["lost", "no lease"]);
    assert_eq!(ended(150), ["young"]);
    text(&store, "update stream_leases set lease_until = '-infinity'");
    assert_eq!(ended(150), ["runs"], "its lease is over and nobody took it");
}

#[test]
fn sessions_of_others_are_listed_with_what_is_stored_of_them() {
    let store = store();
    let owned = |id: &str, owner: &str| SessionRow {
        provenance: format!(r#"{{"lease": {{"owner": "{owner}", "fence": 1}}}}"#),
        ..session(id, now_us())
    };
    let event = |session: &str, seq: i64| EventRow {
        session_id: session.into(),
        seq,
        timestamp_us: now_us(),
        recorded_at_us: now_us(),
        event: "frameAnalyzed".into(),
        payload: "{}".into(),
    };
    for row in [owned("mine", "me"), owned("theirs", "b"), owned("empty", "b"), owned("recovered", "c")] {
        store.wait(store.upsert_session(&row)).unwrap();
    }
    let old = SessionEnd { at_us: at(2, 0, 0), reason: "stopped".into() };
    store.wait(store.upsert_session(&SessionRow { end: Some(old), ..owned("old", "b") })).unwrap();
    for session in ["mine", "theirs", "recovered", "old"] {
        store.wait(store.insert_events(&[event(session, 1), event(session, 7)])).unwrap();
    }
    let newest = store.wait(store.newest_row()).unwrap();
    store.wait(store.insert_events(&[event("theirs", 8)])).unwrap();
    let here = KnownHere { owner: "me".into(), recovered: vec!["recovered".into()] };
    let listed = store.wait(store.sessions_elsewhere(&here)).unwrap();
    let listed: Vec<_> = listed.iter().map(|extent| (extent.session.as_str(), extent.last)).collect();
    assert_eq!(listed, [("theirs", 8)]);
    assert_eq!(store.wait(store.last_seq_up_to_row("theirs", newest)).unwrap(), 7);
    assert_eq!(store.wait(store.last_seq_up_to_row("empty", newest)).unwrap(), 0);
    let running = store.wait(store.find_session("theirs")).unwrap().unwrap();
    assert_eq!(running.last_seq, 8, "the row of a running session is behind; its events are not");
}

#[test]
fn orders_are_counted_and_a_start_lets_a_stream_run_that_might_not() {
    let store = store();
    text(
        &store,
        "insert into streams (name, address, enabled, managed_by_config) values ('door', 'file:a', false, true)",
    );
    let wish = |name: &str, wish| store.wait(store.wish_of_stream(name, wish, None)).unwrap();
    let state = || {
        let row = store.wait(store.find_stream("door")).unwrap().unwrap();
        (row.enabled, row.wanted, row.starts, row.restarts, row.revision)
    };
    assert!(!wish("nope", StreamWish::Start));
    assert!(wish("door", StreamWish::Stop));
    assert_eq!(state(), (false, false, 0, 0, 1));
    store.wait(store.forget_wishes_of_config_streams()).unwrap();
    assert_eq!(state(), (false, true, 0, 0, 1));
    assert!(wish("door", StreamWish::Start) && wish("door", StreamWish::Restart));
    assert_eq!(state(), (true, true, 1, 1, 2), "its settings are others once");
}

#[test]
fn streams_follow_the_file_and_operators_keep_theirs() {
    let store = store();
    let stream = |name: &str, address: &str| ConfigStream {
        name: name.into(),
        address: address.into(),
        settings: r#"{"max_fps": 30}"#.into(),
        enabled: true,
        roles: None,
    };
    text(&store, "insert into streams (name, address) values ('mine', 'file:a'), ('shared', 'file:b')");
    let file = [stream("door", "rtsp://a"), stream("shared", "rtsp://b")];
    let synced = store.wait(store.sync_config_streams(&file)).unwrap();
    assert_eq!((synced.added, synced.changed), (vec!["door".to_owned()], vec!["shared".to_owned()]));
    assert_eq!(store.wait(store.sync_config_streams(&file)).unwrap(), StreamsSynced::default());

    let synced = store.wait(store.sync_config_streams(&[stream("shared", "rtsp://c")])).unwrap();
    assert_eq!((synced.changed, synced.removed), (vec!["shared".to_owned()], vec!["door".to_owned()]));
    let rows = store.wait(store.list_streams()).unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row.name.as_str(), row.address.as_str(), row.managed_by_config)).collect();
    assert_eq!(told, [("mine", "file:a", false), ("shared", "rtsp://c", true)]);
}

#[test]
fn a_stream_of_the_file_is_limited_as_before_until_the_file_says_otherwise() {
    let store = store();
    text(
        &store,
        "insert into streams (name, address) values ('vault', 'file:a');
        insert into stream_roles (stream_id, role_id)
            select s.id, r.id from streams s, roles r where r.name = 'operator';
        insert into retired_streams (name) values ('gone')",
    );
    let stream = |name: &str, roles: Option<&[&str]>| ConfigStream {
        name: name.into(),
        address: "file:b".into(),
        settings: "{}".into(),
        enabled: true,
        roles: roles.map(|roles| roles.iter().map(|role| (*role).to_owned()).collect()),
    };
    let limits = |roles: Option<&[&str]>| {
        store.wait(store.sync_config_streams(&[stream("vault", roles), stream("gone", roles)]))?;
        let limited = "select concat_ws(' ', (select string_agg(r.name, ',') from stream_roles sr
            join streams s on s.id = sr.stream_id join roles r on r.id = sr.role_id where s.name = 'vault'),
            (select string_agg(name, ',') from retired_streams))";
        Ok::<_, StoreError>(text(&store, limited))
    };
    assert_eq!(limits(None).unwrap(), "operator gone");
    assert_eq!(limits(Some(&["viewer"])).unwrap(), "viewer");
    assert!(matches!(limits(Some(&["nobody"])), Err(StoreError::NotFound { what }) if what == "role nobody"));
    assert_eq!(limits(None).unwrap(), "viewer");
    assert_eq!(limits(Some(&[])).unwrap(), "");
}

#[test]
fn users_have_roles_and_unique_names() {
    let store = store();
    store.wait(store.create_user(user("ada", "ada@example.org", &["viewer", "admin"]), None)).unwrap();
    for (twin, expected) in
        [(user("ada", "x@example.org", &[]), "username"), (user("eve", "ada@example.org", &[]), "email")]
    {
        match store.wait(store.create_user(twin, None)).unwrap_err() {
            StoreError::Conflict { field } => assert_eq!(field, expected),
            other => panic!("{other}"),
        }
    }
    let refused = store.wait(store.create_user(user("eve", "eve@example.org", &["king"]), None)).unwrap_err();
    assert_eq!(refused.to_string(), "role king does not exist");
    assert_eq!(store.wait(store.find_user("eve")).unwrap(), None, "nothing is left of a refused account");
    let ada = store.wait(store.find_user("ada")).unwrap().unwrap();
    assert_eq!(ada.roles, ["admin", "viewer"]);
    assert!(!format!("{ada:?}").contains("secret"));
}

#[test]
fn a_disabled_administrator_does_not_count() {
    let store = store();
    store.wait(store.create_user(user("ada", "ada@example.org", &["admin"]), None)).unwrap();
    store.wait(store.create_user(NewUser { email: None, ..user("bob", "", &["agent"]) }, None)).unwrap();
    assert_eq!(store.wait(store.count_admins()).unwrap(), 1);
    let refused = store.wait(store.change_user("ada", disabling(), None)).unwrap_err();
    assert!(matches!(refused, StoreError::LastAdmin), "{refused}");
    store.wait(store.create_user(user("eve", "eve@example.org", &["admin"]), None)).unwrap();
    store.wait(store.change_user("ada", disabling(), None)).unwrap();
    assert_eq!(store.wait(store.count_admins()).unwrap(), 1);
    store.wait(store.change_user("ada", password("$2b$12$other"), None)).unwrap();
    let users = store.wait(store.list_users()).unwrap();
    assert_eq!(users.iter().map(|user| user.username.as_str()).collect::<Vec<_>>(), ["ada", "bob", "eve"]);
    assert!(users[0].disabled_at_us.is_some() && users[0].password_hash.ends_with("other"));
    assert!(users[0].password_changed_at_us > users[0].created_at_us);
    let refused = store.wait(store.change_user("nobody", password("x"), None)).unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { .. }), "{refused}");
}

#[test]
fn the_last_administrator_stays_whatever_is_tried_even_at_once() {
    let store = store();
    for name in ["ada", "eve"] {
        store.wait(store.create_user(user(name, &format!("{name}@example.org"), &["admin"]), None)).unwrap();
    }
    let (one, two) = (store.clone(), store.clone());
    let both = store.wait(async {
        tokio::join!(one.delete_user("ada", None), two.change_user("eve", disabling(), None))
    });
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "{both:?}");
    let left = store.wait(store.list_users()).unwrap();
    let last = left.iter().find(|user| user.disabled_at_us.is_none()).unwrap().username.clone();
    for refused in [
        store.wait(store.delete_user(&last, None)),
        store.wait(store.change_user(&last, viewing(), None)),
        store.wait(store.change_user(&last, disabling(), None)),
    ] {
        assert!(matches!(refused, Err(StoreError::LastAdmin)), "{refused:?}");
    }
    assert_eq!(store.wait(store.count_admins()).unwrap(), 1);
}

#[test]
fn of_two_resets_of_one_account_at_once_one_is_done_and_the_other_is_void() {
    let store = store();
    let id = store.wait(store.create_user(user("ada", "ada@example.org", &["viewer"]), None)).unwrap();
    let until = now_us() + 60_000_000;
    let audit = || AuditEntry {
        actor: String::new(),
        action: "password.reset",
        target: String::new(),
        done: true,
        address: None,
        request_id: None,
    };
    // Each round is another chance to get into each other's way.
    for round in 0..20_u8 {
        let tokens = [[2 * round; 32], [2 * round + 1; 32]];
        for token in tokens {
            let (user, invited_by) = (Some(id), None);
            let reset = OneTime { purpose: Purpose::Reset, user, invited_by, roles: Vec::new() };
            store.wait(store.create_one_time(token, reset, until, None)).unwrap();
        }
        let resets = tokens.map(|token| store.reset_password(token, "$2b$12$other", now_us(), audit()));
        let done = store.wait(futures_util::future::join_all(resets));
        let done: Vec<Option<String>> = done.into_iter().map(|reset| reset.unwrap()).collect();
        assert_eq!(done.iter().flatten().collect::<Vec<_>>(), ["ada"], "{done:?}");
    }
}
