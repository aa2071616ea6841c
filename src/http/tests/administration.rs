//! Users, roles, invitations, the log of changes and stored events; in a real database.

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::client::{event, post, send, within};
use super::fakes::{Fixture, PASSWORD, publish, publish_of};
use crate::http::Signup;
use crate::store::EventRow;

async fn fixture() -> (Fixture, String) {
    fixture_with(Signup::Off).await
}

async fn fixture_with(signup: Signup) -> (Fixture, String) {
    let fixture = Fixture::with_signup(signup);
    fixture.user("root", &["admin"]).await;
    let token = fixture.token_of("root").await;
    (fixture, token)
}

fn person(name: &str, roles: &[&str]) -> Value {
    json!({"username": name, "email": null, "password": PASSWORD, "roles": roles})
}

#[actix_web::test]
async fn users_are_made_changed_and_removed() {
    let (fixture, root) = fixture().await;
    let made = send(&fixture, "POST", "/api/v1/users", &root, person("ada", &["viewer"])).await;
    assert_eq!((made.status, &made.json()["roles"]), (201, &json!(["viewer"])), "{}", made.body);
    assert!(!made.body.contains("$2"), "no hash is ever told");
    let again = send(&fixture, "POST", "/api/v1/users", &root, person("ada", &[])).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("taken")));
    let unknown = send(&fixture, "POST", "/api/v1/users", &root, person("eve", &["king"])).await;
    assert_eq!((unknown.status, &unknown.json()["code"]), (400, &json!("unknown_role")));

    let change = json!({"email": "ada@example.net", "roles": ["operator"], "password": "another secret"});
    let changed = send(&fixture, "PATCH", "/api/v1/users/ada", &root, change).await;
    assert_eq!((changed.status, &changed.json()["email"]), (200, &json!("ada@example.net")));
    let body = json!({"username": "ada", "password": "another secret"});
    assert_eq!(post(&fixture, "/api/v1/auth/login", body.clone()).await.status, 200);
    let disabled = send(&fixture, "PATCH", "/api/v1/users/ada", &root, json!({"disabled": true})).await;
    assert!(disabled.json()["disabledAt"].is_string());
    assert_eq!(post(&fixture, "/api/v1/auth/login", body).await.status, 401);
    assert_eq!(send(&fixture, "DELETE", "/api/v1/users/ada", &root, json!({})).await.status, 204);
    assert_eq!(fixture.get("/api/v1/users/ada", Some(&root)).await.status, 404);
}

#[actix_web::test]
async fn the_last_administrator_has_to_stay() {
    let (fixture, root) = fixture().await;
    for (method, body) in
        [("DELETE", json!({})), ("PATCH", json!({"disabled": true})), ("PATCH", json!({"roles": ["viewer"]}))]
    {
        let refused = send(&fixture, method, "/api/v1/users/root", &root, body).await;
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("last_administrator")));
    }
    assert_eq!(fixture.get("/api/v1/me", Some(&root)).await.json()["roles"], json!(["admin"]));
}

#[actix_web::test]
async fn nobody_gives_away_more_than_they_have() {
    let (fixture, root) = fixture().await;
    let role = json!({"name": "front-desk", "permissions": ["watch", "users"]});
    assert_eq!(send(&fixture, "POST", "/api/v1/roles", &root, role).await.status, 201);
    fixture.user("desk", &["front-desk"]).await;
    fixture.user("vera", &["viewer"]).await;
    let desk = fixture.token_of("desk").await;
    let me = fixture.get("/api/v1/me", Some(&desk)).await.json();
    assert_eq!(me["permissions"], json!(["watch", "users"]));
    let ask =
        async |method: &str, path: &str, body: Value| send(&fixture, method, path, &desk, body).await.status;
    assert_eq!(ask("POST", "/api/v1/users", person("eve", &["viewer"])).await, 201);
    assert_eq!(ask("POST", "/api/v1/users", person("ida", &["admin"])).await, 403);
    assert_eq!(ask("PATCH", "/api/v1/users/desk", json!({"roles": ["admin"]})).await, 403);
    assert_eq!(ask("PATCH", "/api/v1/users/root", json!({"password": "taken over"})).await, 403);
    assert_eq!(ask("DELETE", "/api/v1/users/root", json!({})).await, 403);
    assert_eq!(ask("POST", "/api/v1/invitations", json!({"roles": ["operator"]})).await, 403);
    assert_eq!(ask("POST", "/api/v1/roles", json!({"name": "x", "permissions": []})).await, 403);
    assert_eq!(ask("PATCH", "/api/v1/users/vera", json!({"disabled": true})).await, 200);
}

/// An invitation to roles.
async fn invite(fixture: &Fixture, token: &str, roles: &[&str]) -> String {
    let made = send(fixture, "POST", "/api/v1/invitations", token, json!({"roles": roles})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["invitation"].as_str().unwrap().to_owned()
}

/// The status and the code of a sign-up.
async fn sign_up(fixture: &Fixture, name: &str, invitation: &str) -> (u16, Value) {
    let body = json!({"username": name, "password": PASSWORD, "invitation": invitation});
    let reply = post(fixture, "/signup", body).await;
    (reply.status, reply.json()["code"].clone())
}

#[actix_web::test]
async fn an_invitation_is_good_no_longer_than_the_right_of_who_made_it() {
    let (fixture, root) = fixture_with(Signup::Invite).await;
    let role = json!({"name": "front-desk", "permissions": ["watch", "users"]});
    assert_eq!(send(&fixture, "POST", "/api/v1/roles", &root, role).await.status, 201);
    for (name, method, path, change) in [
        ("disabled", "PATCH", "/api/v1/users/disabled", json!({"disabled": true})),
        ("demoted", "PATCH", "/api/v1/users/demoted", json!({"roles": ["viewer"]})),
        ("robbed", "PATCH", "/api/v1/users/robbed", json!({"password": "another secret"})),
        ("deleted", "DELETE", "/api/v1/users/deleted", json!({})),
        // The last one: it takes the right of all.
        ("narrowed", "PUT", "/api/v1/roles/front-desk", json!({"permissions": ["watch"]})),
    ] {
        fixture.user(name, &["front-desk"]).await;
        let token = fixture.token_of(name).await;
        let used = invite(&fixture, &token, &["viewer"]).await;
        let unused = invite(&fixture, &token, &["viewer"]).await;
        assert_eq!(sign_up(&fixture, &format!("guest-of-{name}"), &used).await.0, 201, "{name}");
        let changed = send(&fixture, method, path, &root, change).await;
        assert!([200, 204].contains(&changed.status), "{name}: {}", changed.body);
        let refused = sign_up(&fixture, "eve", &unused).await;
        assert_eq!(refused, (400, json!("invitation_invalid")), "{name}");
    }
}

#[actix_web::test]
async fn an_invitation_gives_no_role_that_has_grown_or_is_gone() {
    let (fixture, root) = fixture_with(Signup::Invite).await;
    for (name, permissions) in [("front-desk", json!(["watch", "users"])), ("night", json!(["watch"]))] {
        let role = json!({"name": name, "permissions": permissions});
        assert_eq!(send(&fixture, "POST", "/api/v1/roles", &root, role).await.status, 201);
    }
    fixture.user("desk", &["front-desk"]).await;
    let desk = fixture.token_of("desk").await;
    let (first, second) =
        (invite(&fixture, &desk, &["night"]).await, invite(&fixture, &desk, &["night"]).await);
    for (permissions, expected) in [
        (json!(["watch", "audit"]), (400, json!("invitation_invalid"))),
        (json!(["watch"]), (201, Value::Null)),
    ] {
        let change = json!({"permissions": permissions});
        assert_eq!(send(&fixture, "PUT", "/api/v1/roles/night", &root, change).await.status, 200);
        assert_eq!(sign_up(&fixture, "ida", &first).await, expected, "{permissions}");
    }
    assert_eq!(send(&fixture, "DELETE", "/api/v1/roles/night", &root, json!({})).await.status, 204);
    assert_eq!(sign_up(&fixture, "eve", &second).await, (400, json!("invitation_invalid")));
}

#[actix_web::test]
async fn nobody_is_invited_where_an_invitation_could_not_be_used() {
    let (fixture, root) = fixture().await;
    let refused = send(&fixture, "POST", "/api/v1/invitations", &root, json!({"roles": ["viewer"]})).await;
    let problem = refused.json();
    assert_eq!((refused.status, &problem["code"]), (409, &json!("signup_closed")));
    assert!(problem["detail"].as_str().unwrap().contains("auth.signup = \"invite\""), "{problem}");
}

#[actix_web::test]
async fn the_mail_of_an_invitation_says_what_to_do_with_it() {
    let (fixture, root) = fixture_with(Signup::Invite).await;
    let body = json!({"roles": ["viewer"], "email": "ida@example.org"});
    let made = send(&fixture, "POST", "/api/v1/invitations", &root, body).await.json();
    let mails = std::fs::read_dir(fixture.folder.path().join("mail")).unwrap();
    let mails: Vec<String> =
        mails.flatten().map(|mail| std::fs::read_to_string(mail.path()).unwrap()).collect();
    assert_eq!(mails.len(), 1);
    let told = [made["invitation"].as_str().unwrap(), "POST http://kinora.example/signup", "\"invitation\":"];
    assert!(told.iter().all(|words| mails[0].contains(words)), "{}", mails[0]);
}

#[actix_web::test]
async fn nobody_makes_a_key_that_sees_more_than_they_may() {
    let (fixture, root) = fixture().await;
    let role = json!({"name": "locksmith", "permissions": ["watch", "keys:all"]});
    assert_eq!(send(&fixture, "POST", "/api/v1/roles", &root, role).await.status, 201);
    fixture.user("smith", &["locksmith"]).await;
    fixture.user("vera", &["viewer"]).await;
    let smith = fixture.token_of("smith").await;
    for (owner, status) in [("vera", 201), ("smith", 201), ("root", 403)] {
        let key = json!({"name": "x", "owner": owner});
        assert_eq!(send(&fixture, "POST", "/api/v1/keys", &smith, key).await.status, status, "{owner}");
    }
}

#[actix_web::test]
async fn own_roles_are_made_and_built_in_ones_stay() {
    let (fixture, root) = fixture().await;
    let ask = async |method: &str, path: &str, body: Value| send(&fixture, method, path, &root, body).await;
    let wrong = ask("POST", "/api/v1/roles", json!({"name": "x", "permissions": ["everything"]})).await;
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!("unknown_permission")));
    let role = json!({"name": "night", "permissions": ["watch"]});
    assert_eq!(ask("POST", "/api/v1/roles", role.clone()).await.status, 201);
    assert_eq!(ask("POST", "/api/v1/roles", role).await.status, 409);
    let changed =
        ask("PUT", "/api/v1/roles/night", json!({"permissions": ["watch", "streams:control"]})).await;
    assert_eq!(changed.json()["permissions"], json!(["watch", "streams:control"]));
    let listed = fixture.get("/api/v1/roles", Some(&root)).await.json();
    assert_eq!(listed["roles"].as_array().unwrap().len(), 5);
    for (method, body) in [("DELETE", json!({})), ("PUT", json!({"permissions": []}))] {
        let refused = ask(method, "/api/v1/roles/admin", body).await;
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("built_in_role")));
    }
    assert_eq!(ask("DELETE", "/api/v1/roles/night", json!({})).await.status, 204);
    assert_eq!(ask("DELETE", "/api/v1/roles/night", json!({})).await.status, 404);
}

#[actix_web::test]
async fn each_change_is_written_down_with_who_and_where() {
    let (fixture, root) = fixture().await;
    send(&fixture, "POST", "/api/v1/users", &root, person("ada", &["viewer"])).await;
    send(&fixture, "DELETE", "/api/v1/users/ada", &root, json!({})).await;
    let page = fixture.get("/api/v1/audit?limit=1", Some(&root)).await.json();
    let entry = &page["entries"][0];
    assert_eq!(
        (&entry["actor"], &entry["action"], &entry["target"], &entry["outcome"], &entry["address"]),
        (&json!("root"), &json!("user.delete"), &json!("ada"), &json!("done"), &json!("127.0.0.1"))
    );
    assert_eq!(entry["requestId"].as_str().map(str::len), Some(36));
    let next = format!("/api/v1/audit?cursor={}&actor=root", page["nextCursor"]);
    let rest = fixture.get(&next, Some(&root)).await.json();
    assert_eq!((&rest["entries"][0]["action"], &rest["nextCursor"]), (&json!("user.create"), &Value::Null));
}

#[actix_web::test]
async fn a_stream_that_is_limited_to_roles_is_hidden_from_others() {
    let (fixture, root) = fixture().await;
    for (name, role) in [("vera", "viewer"), ("olga", "operator")] {
        fixture.user(name, &[role]).await;
    }
    let sql = "insert into streams (name, address) values ('cam', 'rtsp://camera/stream');
        insert into stream_roles select s.id, r.id from streams s, roles r where r.name = 'operator'";
    fixture.sql(sql);
    let (vera, olga) = (fixture.token_of("vera").await, fixture.token_of("olga").await);
    for (token, status) in [(&vera, 404), (&olga, 200), (&root, 200)] {
        assert_eq!(fixture.get("/api/v1/streams/cam", Some(token)).await.status, status);
    }
    publish(&fixture.hub, "s", 1..=3);
    let refused = fixture.try_subscribe("session=s", Some("json"), Some(&vera)).await.err();
    assert_eq!(refused, Some((404, "session_not_found".into())));
    fixture.app.store.insert_events(&rows(3)).await.unwrap();
    let count = async |token: &str| {
        let page = fixture.get("/api/v1/events", Some(token)).await.json();
        page["events"].as_array().unwrap().len()
    };
    assert_eq!((count(&vera).await, count(&olga).await), (2, 3), "one of three is of the hidden stream");
}

#[actix_web::test]
async fn a_limited_subscriber_gets_a_stream_that_is_made_later_unless_it_is_hidden_too() {
    let (fixture, _) = fixture().await;
    fixture.user("vera", &["viewer"]).await;
    let limited = |name: &str| {
        format!(
            "insert into streams (name, address) values ('{name}', 'rtsp://camera/{name}');
            insert into stream_roles select s.id, r.id from streams s, roles r
                where s.name = '{name}' and r.name = 'operator'"
        )
    };
    fixture.sql(&limited("cam"));
    let vera = fixture.token_of("vera").await;
    let mut socket = fixture.try_subscribe("", Some("json"), Some(&vera)).await.unwrap();
    publish(&fixture.hub, "s", 1..=3);
    fixture.sql("insert into streams (name, address) values ('yard', 'rtsp://camera/yard')");
    publish_of(&fixture.hub, "yard");
    assert_eq!(event(&mut socket).await["sessionId"], "yard", "nothing of the hidden stream comes before");
    fixture.sql(&limited("vault"));
    publish_of(&fixture.hub, "vault");
    let last = loop {
        match within(socket.next()).await {
            Some(Ok(Message::Ping(_))) => {}
            other => break other,
        }
    };
    let Some(Ok(Message::Close(Some(frame)))) = last else { panic!("an end should come, got {last:?}") };
    assert_eq!(u16::from(frame.code), 4401, "what they may see has changed");
}

fn rows(count: i64) -> Vec<EventRow> {
    let row = |seq| EventRow {
        session_id: "s".into(),
        seq,
        timestamp_us: 1_700_000_000_000_000 + seq * 1_000_000,
        recorded_at_us: 1_700_000_000_000_000,
        event: if seq % 5 == 0 { "streamState" } else { "frameAnalyzed" }.into(),
        payload: json!({"seq": seq, "stream": if seq % 2 == 0 { "cam" } else { "=door" }}).to_string(),
    };
    (1..=count).map(row).collect()
}

#[actix_web::test]
async fn events_are_found_by_what_they_are_about_page_by_page() {
    let (fixture, root) = fixture().await;
    fixture.app.store.insert_events(&rows(20)).await.unwrap();
    let ask = async |query: &str| {
        let reply = fixture.get(&format!("/api/v1/events?{query}"), Some(&root)).await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.body);
        let page = reply.json();
        let seqs = page["events"].as_array().unwrap().iter().map(|event| event["payload"]["seq"].as_i64());
        (seqs.map(Option::unwrap).collect::<Vec<_>>(), page["nextCursor"].clone())
    };
    assert_eq!(ask("event=streamState").await, (vec![5, 10, 15, 20], Value::Null));
    assert_eq!(ask("stream=cam&event=streamState&session=s").await.0, [10, 20]);
    assert_eq!(ask("session=other").await.0, [0_i64; 0]);
    let within = "from=2023-11-14T22:13:22Z&to=2023-11-14T22:13:24Z";
    assert_eq!(ask(within).await.0, [2, 3], "from is in, to is not");
    let (first, cursor) = ask("limit=15").await;
    let (rest, end) = ask(&format!("limit=15&cursor={cursor}")).await;
    assert_eq!(([first, rest].concat(), end), ((1..=20).collect(), Value::Null));
    for wrong in [
        "event=nope",
        "from=yesterday",
        "from=-005000-01-01T00:00:00Z",
        "format=xml",
        "limit=x",
        "colour=red",
        "session=,",
    ] {
        let reply = fixture.get(&format!("/api/v1/events?{wrong}"), Some(&root)).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("invalid_query")), "{wrong}");
    }
}

#[actix_web::test]
async fn events_are_exported_whole_as_lines_and_as_a_table() {
    let (fixture, root) = fixture().await;
    fixture.app.store.insert_events(&rows(2_300)).await.unwrap();
    let lines = fixture.get("/api/v1/events?format=ndjson&limit=1", Some(&root)).await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let events: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2_300, "an export is not cut into pages");
    let members: Vec<_> = events[0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["event", "payload", "sessionId", "timestamp"]);
    let table = fixture.get("/api/v1/events?format=csv&event=streamState", Some(&root)).await.body;
    let mut rows = table.split("\r\n");
    assert_eq!(rows.next(), Some("sessionId,timestamp,event,seq,stream,payload"));
    let first = rows.next().unwrap();
    let start = "s,2023-11-14T22:13:25.000000Z,streamState,5,'=door,\"{\"\"seq\"\": 5, ";
    assert!(first.starts_with(start), "{first}");
}
