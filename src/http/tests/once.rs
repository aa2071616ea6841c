//! `Idempotency-Key`: what is sent twice is made once.

use serde_json::{Value, json};

use super::client::{Reply, http};
use super::fakes::{Fixture, SOURCE};
use crate::http::Signup;
use crate::store::testing::text;

/// Sends a request with a key of its own.
async fn make(fixture: &Fixture, token: &str, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [
        format!("authorization: Bearer {token}"),
        format!("idempotency-key: {key}"),
        "content-type: application/json".to_owned(),
    ];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    http(fixture.address, "POST", path, &headers, &body.to_string()).await
}

/// What the database says.
fn ask(fixture: &Fixture, sql: &str) -> String {
    let (store, sql) = (fixture.app.store.clone(), sql.to_owned());
    std::thread::spawn(move || text(&store, &sql)).join().unwrap()
}

async fn fixture_with_root() -> (Fixture, String) {
    let fixture = Fixture::with_signup(Signup::Invite);
    fixture.user("root", &["admin"]).await;
    let token = fixture.token_of("root").await;
    (fixture, token)
}

#[actix_web::test]
async fn the_same_request_is_answered_again_and_makes_nothing() {
    let (fixture, root) = fixture_with_root().await;
    let cases = [
        ("/api/v1/keys", json!({"name": "lobby"})),
        ("/api/v1/users", json!({"username": "vera", "password": "long enough", "roles": ["viewer"]})),
        ("/api/v1/roles", json!({"name": "night", "permissions": ["watch"]})),
        ("/api/v1/streams", json!({"name": "door", "source": SOURCE})),
        ("/api/v1/invitations", json!({"roles": ["viewer"]})),
    ];
    for (at, (path, body)) in cases.iter().enumerate() {
        let first = make(&fixture, &root, path, &format!("key-{at}"), body).await;
        assert_eq!(
            (first.status, first.header("idempotency-replayed")),
            (201, None),
            "{path}: {}",
            first.body
        );
        let again = make(&fixture, &root, path, &format!("key-{at}"), body).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")), "{path}");
        assert_eq!((&again.body, again.header("etag")), (&first.body, first.header("etag")), "{path}");
    }
    assert_eq!(ask(&fixture, "select count(*)::text from api_keys"), "1");
    assert_eq!(ask(&fixture, "select count(*)::text from one_time_tokens"), "1");
}

#[actix_web::test]
async fn a_key_with_another_request_is_refused_and_belongs_to_its_user() {
    let (fixture, root) = fixture_with_root().await;
    fixture.user("olga", &["operator"]).await;
    let olga = fixture.token_of("olga").await;
    let body = json!({"name": "lobby"});
    assert_eq!(make(&fixture, &root, "/api/v1/keys", "k", &body).await.status, 201);
    for (path, body) in [
        ("/api/v1/keys", json!({"name": "hall"})),
        ("/api/v1/roles", json!({"name": "night", "permissions": []})),
    ] {
        let other = make(&fixture, &root, path, "k", &body).await;
        assert_eq!((other.status, &other.json()["code"]), (422, &json!("idempotency_mismatch")));
    }
    assert_eq!(make(&fixture, &olga, "/api/v1/keys", "k", &body).await.header("idempotency-replayed"), None);
    assert_eq!(ask(&fixture, "select count(*)::text from api_keys"), "2");
    let odd = make(&fixture, &root, "/api/v1/keys", "a key", &body).await;
    assert_eq!((odd.status, &odd.json()["code"]), (400, &json!("invalid_idempotency_key")));
}

#[actix_web::test]
async fn what_was_refused_frees_its_key() {
    let (fixture, root) = fixture_with_root().await;
    assert_eq!(make(&fixture, &root, "/api/v1/keys", "k", &json!({"name": ""})).await.status, 400);
    assert_eq!(make(&fixture, &root, "/api/v1/keys", "k", &json!({"name": "lobby"})).await.status, 201);
    let nobody = make(&fixture, "wrong", "/api/v1/keys", "k", &json!({"name": "lobby"})).await;
    assert_eq!(nobody.status, 401, "a key is no way in");
}

/// The invitation is stored and its mail is not sent: a second try must not make a second one.
#[actix_web::test]
async fn what_failed_here_keeps_its_key_since_it_may_have_been_made() {
    let (fixture, root) = fixture_with_root().await;
    std::fs::remove_dir_all(fixture.folder.path().join("mail")).ok();
    std::fs::write(fixture.folder.path().join("mail"), "in the way of the folder").unwrap();
    let body = json!({"roles": ["viewer"], "email": "vera@example.org"});
    let first = make(&fixture, &root, "/api/v1/invitations", "k", &body).await;
    assert_eq!(first.status, 503, "{}", first.body);
    let again = make(&fixture, &root, "/api/v1/invitations", "k", &body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (503, Some("true")));
    assert_eq!(again.header("content-type"), Some("application/problem+json"));
    assert_eq!(ask(&fixture, "select count(*)::text from one_time_tokens"), "1");
}

#[actix_web::test]
async fn a_key_of_an_agent_reads_no_answer_of_its_owner() {
    let (fixture, root) = fixture_with_root().await;
    let made = make(&fixture, &root, "/api/v1/keys", "k", &json!({"name": "lobby"})).await.json();
    let agent = made["key"].as_str().unwrap();
    let stolen = make(&fixture, agent, "/api/v1/keys", "k", &json!({"name": "lobby"})).await;
    assert_eq!(stolen.status, 403, "{}", stolen.body);
}

#[actix_web::test]
async fn of_two_at_once_one_makes_it_and_a_lost_one_is_taken_over() {
    let (fixture, root) = fixture_with_root().await;
    let body = json!({"name": "lobby"});
    let send = || make(&fixture, &root, "/api/v1/keys", "k", &body);
    let (one, other) = futures_util::future::join(send(), send()).await;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    // The second came while the first was done, or after it.
    assert!(statuses == [201, 409] || statuses == [201, 201], "{statuses:?}");
    assert_eq!(ask(&fixture, "select count(*)::text from api_keys"), "1");

    fixture.sql("update made_once set answer = null");
    let waiting = send().await;
    assert_eq!((waiting.status, &waiting.json()["code"]), (409, &json!("idempotency_in_progress")));
    fixture.sql("update made_once set begun_at = now() - interval '61 seconds'");
    assert_eq!(send().await.header("idempotency-replayed"), None);
    fixture.sql("update made_once set begun_at = now() - interval '25 hours'");
    assert_eq!(send().await.header("idempotency-replayed"), None, "a day is over");
    assert_eq!(ask(&fixture, "select count(*)::text from api_keys"), "3");
}

#[actix_web::test]
async fn neither_secrets_nor_passwords_are_kept_in_plain() {
    let (fixture, root) = fixture_with_root().await;
    let made = make(&fixture, &root, "/api/v1/keys", "k", &json!({"name": "lobby"})).await.json();
    let secret = made["key"].as_str().unwrap().to_owned();
    let user = json!({"username": "vera", "password": "hunter2 hunter2", "roles": []});
    assert_eq!(make(&fixture, &root, "/api/v1/users", "u", &user).await.status, 201);
    let kept = ask(&fixture, "select string_agg(encode(answer, 'escape'), ' ') from made_once");
    assert!(kept.len() > 200, "two answers should be kept");
    assert!(!kept.contains(secret.rsplit('_').next().unwrap()) && !kept.contains("hunter2"));
    // Another key of the seal: what was made is told, and not made again.
    fixture.sql("update made_once set answer = decode('00', 'hex')");
    let lost = make(&fixture, &root, "/api/v1/keys", "k", &json!({"name": "lobby"})).await;
    assert_eq!((lost.status, &lost.json()["code"]), (409, &json!("idempotency_replay")));
}
