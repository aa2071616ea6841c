//! Rights that must not grow by a side door: deleted streams, roles and keys that see more, tokens that should be void,
//! and changes that fail half-way. In a real database.

use std::path::Path;

use actix_web::rt::net::TcpStream;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::client::{http, post, send, within};
use super::fakes::{Doors, Fixture, PASSWORD, SOURCE};
use crate::http::Signup;
use crate::http::ports::StreamsSeen;
use crate::store::{EventRow, UserChange};

/// So many large events are more than sockets hold: who stops reading stops the server.
const MUCH: usize = 3_000;
/// How an answer ends in chunks that is whole.
const LAST_CHUNK: &str = "\r\n0\r\n\r\n";

async fn fixture() -> (Fixture, String) {
    let fixture = Fixture::with_database();
    fixture.user("root", &["admin"]).await;
    let token = fixture.token_of("root").await;
    (fixture, token)
}

fn event_of(stream: &str, seq: i64) -> EventRow {
    EventRow {
        session_id: format!("of-{stream}"),
        seq,
        timestamp_us: 1_700_000_000_000_000,
        recorded_at_us: 1_700_000_000_000_000,
        event: "frameAnalyzed".into(),
        payload: json!({"seq": seq, "stream": stream}).to_string(),
    }
}

async fn store_much(fixture: &Fixture) {
    let padding = "x".repeat(4_000);
    let row = |seq: usize| EventRow {
        payload: json!({"seq": seq, "stream": "cam", "padding": padding}).to_string(),
        ..event_of("cam", seq as i64)
    };
    let rows: Vec<EventRow> = (1..=MUCH).map(row).collect();
    fixture.app.store.insert_events(&rows).await.unwrap();
}

/// An export of which nothing but the head of the answer is read.
async fn begin_export(fixture: &Fixture, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(fixture.address).await.unwrap();
    let request = format!(
        "GET /api/v1/events?format=ndjson HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"));
    stream
}

/// How many events the rest of an export has, and whether it is whole.
async fn rest(mut export: TcpStream) -> (usize, bool) {
    let mut body = String::new();
    within(export.read_to_string(&mut body)).await.unwrap();
    (body.matches("\"sessionId\":").count(), body.ends_with(LAST_CHUNK))
}

async fn events(fixture: &Fixture, token: &str) -> usize {
    let page = fixture.get("/api/v1/events", Some(token)).await.json();
    page["events"].as_array().unwrap().len()
}

#[actix_web::test]
async fn events_of_a_deleted_stream_are_seen_by_who_saw_the_stream() {
    let (fixture, root) = fixture().await;
    for (name, role) in [("vera", "viewer"), ("olga", "operator")] {
        fixture.user(name, &[role]).await;
    }
    let (vera, olga) = (fixture.token_of("vera").await, fixture.token_of("olga").await);
    let vault = json!({"name": "vault", "source": SOURCE, "roles": ["operator"]});
    assert_eq!(send(&fixture, "POST", "/api/v1/streams", &root, vault).await.status, 201);
    let lobby = json!({"name": "lobby", "source": SOURCE});
    assert_eq!(send(&fixture, "POST", "/api/v1/streams", &root, lobby).await.status, 201);
    fixture.app.store.insert_events(&[event_of("vault", 1), event_of("lobby", 2)]).await.unwrap();
    for name in ["vault", "lobby"] {
        let path = format!("/api/v1/streams/{name}");
        assert_eq!(send(&fixture, "DELETE", &path, &olga, json!({})).await.status, 204);
    }
    // A second, in which callers are known as they were.
    let again = async |token: &str| {
        fixture.app.forget_all();
        events(&fixture, token).await
    };
    assert_eq!((again(&vera).await, again(&olga).await, again(&root).await), (1, 2, 2));

    // Who does not see what is left of it cannot take its name and so its events.
    let role = json!({"name": "maker", "permissions": ["watch", "streams:edit"]});
    assert_eq!(send(&fixture, "POST", "/api/v1/roles", &root, role).await.status, 201);
    fixture.user("max", &["maker"]).await;
    let max = fixture.token_of("max").await;
    let open = json!({"name": "vault", "source": SOURCE});
    let taken = send(&fixture, "POST", "/api/v1/streams", &max, open.clone()).await;
    assert_eq!((taken.status, &taken.json()["code"]), (409, &json!("taken")));
    assert_eq!(send(&fixture, "POST", "/api/v1/streams", &olga, open).await.status, 201);
    assert_eq!(again(&vera).await, 2, "who saw it may open it again");
}

#[actix_web::test]
async fn nobody_gives_a_role_or_a_key_that_sees_streams_which_they_do_not() {
    let (fixture, root) = fixture().await;
    for (name, permissions) in [
        ("front-desk", json!(["watch", "users", "keys:all"])),
        ("guard", json!(["watch"])),
        ("keeper", json!(["watch"])),
        (
            "everything",
            json!([
                "watch",
                "streams:control",
                "streams:edit",
                "keys:own",
                "keys:all",
                "users",
                "roles",
                "audit",
                "health"
            ]),
        ),
    ] {
        let role = json!({"name": name, "permissions": permissions});
        assert_eq!(send(&fixture, "POST", "/api/v1/roles", &root, role).await.status, 201);
    }
    for (name, role) in [("desk", "front-desk"), ("gus", "guard"), ("kim", "keeper"), ("all", "everything")] {
        fixture.user(name, &[role]).await;
    }
    let sql = "insert into streams (name, address) values ('vault', 'rtsp://camera/stream');
        insert into stream_roles select s.id, r.id from streams s, roles r where r.name = 'guard'";
    fixture.sql(sql);
    let (desk, all) = (fixture.token_of("desk").await, fixture.token_of("all").await);
    let person = |name: &str, role: &str| json!({"username": name, "password": PASSWORD, "roles": [role]});
    let ask = async |method: &str, path: &str, token: &str, body: Value| {
        send(&fixture, method, path, token, body).await.status
    };
    assert_eq!(ask("POST", "/api/v1/users", &desk, person("eve", "keeper")).await, 201);
    assert_eq!(
        ask("POST", "/api/v1/users", &desk, person("ida", "guard")).await,
        403,
        "a guard sees the vault"
    );
    assert_eq!(ask("POST", "/api/v1/invitations", &desk, json!({"roles": ["guard"]})).await, 403);
    assert_eq!(
        ask("PATCH", "/api/v1/users/desk", &desk, json!({"roles": ["front-desk", "guard"]})).await,
        403
    );
    assert_eq!(ask("PATCH", "/api/v1/users/gus", &desk, json!({"password": "taken over"})).await, 403);
    assert_eq!(ask("POST", "/api/v1/keys", &desk, json!({"name": "x", "owner": "kim"})).await, 201);
    assert_eq!(ask("POST", "/api/v1/keys", &desk, json!({"name": "x", "owner": "gus"})).await, 403);
    // All permissions are not all streams.
    assert_eq!(ask("POST", "/api/v1/users", &all, person("ida", "admin")).await, 403);
    assert_eq!(ask("POST", "/api/v1/users", &root, person("ida", "guard")).await, 201);
}

#[actix_web::test]
async fn a_sign_up_that_fails_leaves_the_invitation_as_it_was() {
    let fixture = Fixture::with_signup(Signup::Invite);
    fixture.user("root", &["admin"]).await;
    let root = fixture.token_of("root").await;
    let made =
        send(&fixture, "POST", "/api/v1/invitations", &root, json!({"roles": ["operator"]})).await.json();
    let sign_up = async |name: &str| {
        let body = json!({"username": name, "password": "good enough", "invitation": made["invitation"]});
        post(&fixture, "/signup", body).await.status
    };
    assert_eq!(sign_up("root").await, 409, "the name is taken");
    assert_eq!(sign_up("ida").await, 201);
    assert_eq!(sign_up("eve").await, 400, "now it is used");
    assert_eq!(fixture.app.store.find_user("ida").await.unwrap().unwrap().roles, ["operator"]);
}

#[actix_web::test]
async fn a_new_password_or_address_makes_resets_that_wait_void() {
    let (fixture, root) = fixture().await;
    fixture.user("ada", &["viewer"]).await;
    let ask = async || {
        let reply = post(&fixture, "/password-reset", json!({"email": "ada@example.org"})).await;
        assert_eq!(reply.status, 202);
        newest_token(&fixture.folder.path().join("mail")).await
    };
    let confirm = async |token: &str| {
        let body = json!({"token": token, "password": "a new secret"});
        post(&fixture, "/password-reset/confirm", body).await.status
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!(confirm(&second).await, 204);
    assert_eq!(confirm(&first).await, 400, "another reset was used");
    for change in [json!({"password": "another one"}), json!({"email": "ada@example.org"})] {
        let waiting = ask().await;
        assert_eq!(send(&fixture, "PATCH", "/api/v1/users/ada", &root, change.clone()).await.status, 200);
        assert_eq!(confirm(&waiting).await, 400, "{change}");
    }
}

/// The token of the mail that comes next; mails are taken away when they were read.
async fn newest_token(folder: &Path) -> String {
    loop {
        for mail in std::fs::read_dir(folder).unwrap().flatten() {
            let text = std::fs::read_to_string(mail.path()).unwrap();
            let is_token = |line: &&str| line.len() == 64 && line.chars().all(|c| c.is_ascii_hexdigit());
            if let Some(token) = text.lines().find(is_token).map(str::to_owned) {
                std::fs::remove_file(mail.path()).unwrap();
                return token;
            }
        }
        actix_web::rt::task::yield_now().await;
    }
}

#[actix_web::test]
async fn a_change_that_fails_changes_nothing_and_one_that_is_done_is_written_down() {
    let (fixture, root) = fixture().await;
    fixture.user("ada", &["viewer"]).await;
    let before = fixture.app.store.find_user("ada").await.unwrap();
    // The mail address is root's: by then roles and password were changed in the same breath.
    let half = json!({"roles": ["operator"], "password": "another one", "email": "root@example.org"});
    let refused = send(&fixture, "PATCH", "/api/v1/users/ada", &root, half).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("taken")));
    assert_eq!(fixture.app.store.find_user("ada").await.unwrap(), before);
    let written = async || {
        fixture.app.store.audit_page(None, None, Some("user.change".into()), 10).await.unwrap().len()
    };
    assert_eq!(written().await, 0);

    // What cannot be written down is not done.
    fixture.sql("alter table audit_log rename to audit_log_away");
    let change = json!({"roles": ["operator"]});
    assert_eq!(send(&fixture, "PATCH", "/api/v1/users/ada", &root, change.clone()).await.status, 503);
    for (method, path, body) in [
        ("POST", "/api/v1/roles", json!({"name": "night", "permissions": []})),
        ("POST", "/api/v1/keys", json!({"name": "x"})),
        ("DELETE", "/api/v1/users/ada", json!({})),
    ] {
        assert_eq!(send(&fixture, method, path, &root, body).await.status, 503, "{method} {path}");
    }
    fixture.sql("alter table audit_log_away rename to audit_log");
    assert_eq!(fixture.app.store.find_user("ada").await.unwrap(), before);
    assert_eq!(fixture.app.store.list_roles().await.unwrap().len(), 4);
    assert!(fixture.app.store.list_keys(None).await.unwrap().is_empty());
    assert_eq!(send(&fixture, "PATCH", "/api/v1/users/ada", &root, change).await.status, 200);
    assert_eq!(written().await, 1);
}

#[actix_web::test]
async fn a_token_of_before_a_new_password_is_void_in_the_same_second() {
    let (fixture, _) = fixture().await;
    fixture.user("ada", &["viewer"]).await;
    let hash = fixture.app.passwords.hash_blocking("another one").unwrap();
    // No login is ended for such a token: the version alone tells.
    let before = fixture.token_of("ada").await;
    let change = UserChange { password_hash: Some(hash), ..UserChange::default() };
    fixture.app.store.change_user("ada", change, None).await.unwrap();
    let after = fixture.token_of("ada").await;
    assert_eq!(fixture.get("/api/v1/me", Some(&before)).await.json()["code"], "token_revoked");
    assert_eq!(fixture.get("/api/v1/me", Some(&after)).await.status, 200);
}

#[actix_web::test]
async fn numbers_can_be_for_operators_only() {
    let fixture = Fixture::with_doors(Doors { closed_metrics: true, ..Doors::default() });
    for (name, role) in [("vera", "viewer"), ("olga", "operator"), ("root", "admin")] {
        fixture.user(name, &[role]).await;
    }
    assert_eq!(fixture.get("/metrics", None).await.status, 401);
    for (name, status) in [("vera", 403), ("olga", 200), ("root", 200)] {
        let token = fixture.token_of(name).await;
        let reply = fixture.get("/metrics", Some(&token)).await;
        assert_eq!(reply.status, status, "{name}");
        assert_eq!(reply.body.contains("http_requests_total"), status == 200, "{name}");
    }
}

#[actix_web::test]
async fn an_export_ends_with_the_event_that_was_the_newest_when_it_began() {
    let (fixture, root) = fixture().await;
    store_much(&fixture).await;
    let export = begin_export(&fixture, &root).await;
    let later: Vec<EventRow> = (1..=10).map(|seq| event_of("yard", seq)).collect();
    fixture.app.store.insert_events(&later).await.unwrap();
    assert_eq!(rest(export).await, (MUCH, true));
}

#[actix_web::test]
async fn an_export_breaks_off_when_its_caller_may_not_see_events_any_more() {
    let (fixture, _) = fixture().await;
    store_much(&fixture).await;
    fixture.user("vera", &["viewer"]).await;
    fixture.user("olga", &["operator"]).await;
    let (vera, olga) = (fixture.token_of("vera").await, fixture.token_of("olga").await);
    let (of_vera, of_olga) = (begin_export(&fixture, &vera).await, begin_export(&fixture, &olga).await);
    fixture.disable("vera").await;
    // A second, in which callers are known as they were.
    fixture.app.forget_all();
    let (sent, is_whole) = rest(of_vera).await;
    assert!(sent < MUCH && !is_whole, "{sent}");
    assert_eq!(rest(of_olga).await, (MUCH, true));
}

#[actix_web::test]
async fn a_third_export_of_one_caller_waits_for_another_to_end() {
    let (fixture, root) = fixture().await;
    store_much(&fixture).await;
    fixture.user("olga", &["operator"]).await;
    let olga = fixture.token_of("olga").await;
    let made = send(&fixture, "POST", "/api/v1/keys", &root, json!({"name": "archive"})).await.json();
    let first = begin_export(&fixture, &root).await;
    let _second = begin_export(&fixture, &root).await;
    let refused = fixture.get("/api/v1/events?format=csv", Some(&root)).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("too_many_exports")));
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(events(&fixture, &root).await, 100, "a page is no export");
    for other in [olga.as_str(), made["key"].as_str().unwrap()] {
        drop(begin_export(&fixture, other).await);
    }
    // Its client goes without a word.
    drop(first);
    let bearer = format!("authorization: Bearer {root}");
    let begun = async {
        // From many addresses, since exports of one are few in a minute.
        for network in 0..u16::MAX {
            let address = format!("x-forwarded-for: 2001:db8:{network:x}::1");
            let path = "/api/v1/events?format=ndjson&event=gap";
            if http(fixture.address, "GET", path, &[&*bearer, &*address], "").await.status == 200 {
                return;
            }
        }
    };
    within(begun).await;
}

#[actix_web::test]
async fn sessions_are_asked_for_by_what_the_caller_may_see() {
    let (fixture, root) = fixture().await;
    fixture.user("vera", &["viewer"]).await;
    fixture.sql(
        "insert into streams (name, address) values ('vault', 'rtsp://camera/stream');
        insert into stream_roles select s.id, r.id from streams s, roles r where r.name = 'operator'",
    );
    let vera = fixture.token_of("vera").await;
    let seen = async |token: &str| {
        assert_eq!(fixture.get("/api/v1/sessions", Some(token)).await.status, 200);
        fixture.world.seen.lock().unwrap().clone()
    };
    assert_eq!(seen(&root).await, StreamsSeen::default());
    assert_eq!(seen(&vera).await, StreamsSeen { only: None, hidden: vec!["vault".into()] });
    let body = json!({"name": "screen", "streams": ["lobby"]});
    let key = send(&fixture, "POST", "/api/v1/keys", &root, body).await.json()["key"].take();
    let lobby = StreamsSeen { only: Some(vec!["lobby".into()]), hidden: Vec::new() };
    assert_eq!(seen(key.as_str().unwrap()).await, lobby);
}
