//! Rights that must not grow by a side door: deleted streams, roles and keys that see more, tokens that should be void,
//! and changes that fail half-way. In a real database.

use std::path::Path;

use serde_json::{Value, json};

use super::client::{post, send};
use super::fakes::{Doors, Fixture, PASSWORD, SOURCE};
use crate::http::Signup;
use crate::store::{EventRow, UserChange};

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
