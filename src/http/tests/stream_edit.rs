//! Streams that operators make, change, steer and delete; rows in a real database, actors played.

use serde_json::{Value, json};

use super::client::{Reply, http, send};
use super::fakes::{Fixture, SOURCE};
use crate::accounts::PrivateSource;
use crate::store::StreamSpec;

/// Awkward in an address, in JSON and in a quoted string.
const PASSWORD: &str = "p@ss: w/ö\"rd\\%23#";

async fn fixture() -> (Fixture, String) {
    let fixture = Fixture::with_database();
    fixture.user("olga", &["operator"]).await;
    let token = fixture.token_of("olga").await;
    (fixture, token)
}

async fn create(fixture: &Fixture, token: &str) -> Reply {
    let body = json!({"name": "door", "source": SOURCE, "options": {"everyNth": 2}});
    send(fixture, "POST", "/api/v1/streams", token, body).await
}

fn change(source: Value) -> Value {
    let options = json!({"loop": false, "tracking": false, "everyNth": 1, "maxFps": 10, "readMarks": false});
    json!({"source": source, "enabled": true, "roles": [], "options": options})
}

#[actix_web::test]
async fn a_stream_is_made_and_its_password_is_never_told_again() {
    let (fixture, olga) = fixture().await;
    let made = create(&fixture, &olga).await;
    assert_eq!((made.status, made.header("etag")), (201, Some("\"1\"")), "{}", made.body);
    let settings = fixture.get("/api/v1/streams/door/settings", Some(&olga)).await;
    assert_eq!(settings.json()["source"], "rtsp://***@camera/1");
    assert_eq!(settings.json()["options"]["everyNth"], 2);
    assert!(!made.body.contains("hunter2") && !settings.body.contains("hunter2"));
    let row = fixture.app.store.find_stream("door").await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(row.sealed_source.as_ref().unwrap()).contains("hunter2"));
    assert_eq!(*fixture.world.changed.lock().unwrap(), ["door"]);
    assert_eq!(create(&fixture, &olga).await.status, 409);
    for (body, status, code) in [
        (json!({"name": "a b", "source": SOURCE}), 400, "invalid_name"),
        (json!({"name": "x", "source": "file:/etc/passwd"}), 422, "source_forbidden"),
        (json!({"name": "x", "source": SOURCE, "options": {"everyNth": 0}}), 400, "invalid_options"),
        (json!({"name": "x", "source": SOURCE, "options": {"auth": "plain"}}), 400, "invalid_json"),
        (
            json!({"name": "x", "source": "udp://:5000", "options": {"auth": "digest"}}),
            400,
            "invalid_options",
        ),
        (json!({"name": "x", "source": SOURCE, "roles": ["king"]}), 404, "not_found"),
        (json!({"name": "x"}), 400, "invalid_json"),
    ] {
        let reply = send(&fixture, "POST", "/api/v1/streams", &olga, body).await;
        assert_eq!((reply.status, &reply.json()["code"]), (status, &json!(code)), "{}", reply.body);
    }
}

#[actix_web::test]
async fn a_change_restarts_that_stream_alone_and_only_if_nobody_was_faster() {
    let (fixture, olga) = fixture().await;
    create(&fixture, &olga).await;
    let bearer = format!("authorization: Bearer {olga}");
    let put = async |tag: &str, source: Value| {
        let headers = [&*bearer, "content-type: application/json", &format!("if-match: {tag}")];
        let body = change(source).to_string();
        http(fixture.address, "PUT", "/api/v1/streams/door/settings", &headers, &body).await
    };
    let changed = put("\"1\"", Value::Null).await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")));
    let kept = source_of_door(&fixture).await;
    assert_eq!(kept, SOURCE, "a source that is left out stays, password included");
    let changed = put("\"2\"", json!("rtsp://***@camera/1")).await;
    assert_eq!(
        (changed.status, source_of_door(&fixture).await),
        (200, SOURCE.to_owned()),
        "so does what is shown"
    );
    let edited = put("*", json!("rtsp://***@camera/2")).await;
    assert_eq!((edited.status, &edited.json()["code"]), (422, &json!("login_needed")));
    let slower = put("\"1\"", json!("rtsp://other/2")).await;
    assert_eq!((slower.status, &slower.json()["code"]), (412, &json!("stale")));
    assert_eq!(put("*", json!("rtsp://other/2")).await.header("etag"), Some("\"4\""));
    assert_eq!(source_of_door(&fixture).await, "rtsp://other/2");
    assert_eq!(*fixture.world.changed.lock().unwrap(), ["door"; 4], "one refusal, four changes");
}

/// The stored source, with its credentials.
async fn source_of_door(fixture: &Fixture) -> String {
    private_source_of_door(fixture).await.address
}

async fn private_source_of_door(fixture: &Fixture) -> PrivateSource {
    let row = fixture.app.store.find_stream("door").await.unwrap().unwrap();
    let sealed = row.sealed_source.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("p@ss"));
    PrivateSource::open("door", &sealed, &fixture.app.sealer).ok().unwrap()
}

/// User and password that are kept for the stream.
async fn login_of_door(fixture: &Fixture) -> Option<(String, String)> {
    private_source_of_door(fixture).await.login.map(|login| (login.username, login.password))
}

/// A stream whose user and password are given apart from its source.
fn with_login(password: &str) -> Value {
    json!({"name": "door", "source": "rtsp://camera/1", "username": "view:er", "password": password})
}

#[actix_web::test]
async fn a_login_apart_from_the_source_may_hold_any_character_and_is_never_told_again() {
    let (fixture, olga) = fixture().await;
    let headers =
        [&*format!("authorization: Bearer {olga}"), "content-type: application/json", "idempotency-key: k"];
    let post = async |password: &str| {
        http(fixture.address, "POST", "/api/v1/streams", &headers, &with_login(password).to_string()).await
    };
    let made = post(PASSWORD).await;
    assert_eq!((made.status, &made.json()["hasLogin"]), (201, &json!(true)), "{}", made.body);
    let again = post(PASSWORD).await;
    assert_eq!((again.status, &again.body), (201, &made.body), "the same call is answered the same");
    assert_eq!(post("another").await.json()["code"], "idempotency_mismatch");
    fixture.user("ada", &["admin"]).await;
    let ada = fixture.token_of("ada").await;
    let settings = fixture.get("/api/v1/streams/door/settings", Some(&olga)).await;
    let audit = fixture.get("/api/v1/audit", Some(&ada)).await;
    assert!(audit.body.contains("stream.create"), "{}", audit.body);
    for reply in [&made, &again, &settings, &audit] {
        assert!(!reply.body.contains("p@ss") && !reply.body.contains("view:er"), "{}", reply.body);
    }
    assert_eq!(login_of_door(&fixture).await, Some(("view:er".to_owned(), PASSWORD.to_owned())));
}

#[actix_web::test]
async fn a_kept_password_never_goes_to_another_server() {
    let (fixture, olga) = fixture().await;
    send(&fixture, "POST", "/api/v1/streams", &olga, with_login(PASSWORD)).await;
    let kept = Some(("view:er".to_owned(), PASSWORD.to_owned()));
    let put = async |fields: Value| {
        let mut body = change(Value::Null);
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        send(&fixture, "PUT", "/api/v1/streams/door/settings", &olga, body).await
    };
    for fields in [json!({}), json!({"source": "rtsp://camera/2"})] {
        assert_eq!(put(fields).await.json()["hasLogin"], true);
        assert_eq!(login_of_door(&fixture).await, kept, "on the same server it stays");
    }
    let elsewhere = "rtsp://elsewhere/1";
    let refused = put(json!({"source": elsewhere})).await;
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("login_needed")), "{}", refused.body);
    assert_eq!(source_of_door(&fixture).await, "rtsp://camera/2", "nothing is changed");
    assert_eq!(put(json!({"source": elsewhere, "username": ""})).await.json()["hasLogin"], false);
    assert_eq!(login_of_door(&fixture).await, None);
    let given = put(json!({"source": "rtsp://camera/3", "username": "a", "password": "b"})).await;
    assert_eq!((given.status, &given.json()["hasLogin"]), (200, &json!(true)), "{}", given.body);
    assert_eq!(login_of_door(&fixture).await, Some(("a".to_owned(), "b".to_owned())));
    for fields in [
        json!({"password": "b"}),
        json!({"username": "a"}),
        json!({"source": SOURCE, "username": "a", "password": "b"}),
        json!({"source": "udp://:5000", "username": "a", "password": "b"}),
    ] {
        let reply = put(fields).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("invalid_login")), "{}", reply.body);
    }
}

#[actix_web::test]
async fn a_source_whose_seal_is_lost_can_be_sent_again() {
    let (fixture, olga) = fixture().await;
    send(&fixture, "POST", "/api/v1/streams", &olga, with_login(PASSWORD)).await;
    fixture.sql("update streams set sealed_source = 'not sealed'::bytea where name = 'door'");
    let kept = send(&fixture, "PUT", "/api/v1/streams/door/settings", &olga, change(Value::Null)).await;
    assert_eq!((kept.status, &kept.json()["code"]), (409, &json!("source_lost")));
    let again = send(&fixture, "PUT", "/api/v1/streams/door/settings", &olga, change(json!(SOURCE))).await;
    assert_eq!((again.status, &again.json()["hasLogin"]), (200, &json!(false)), "{}", again.body);
    assert_eq!(source_of_door(&fixture).await, SOURCE);
}

#[actix_web::test]
async fn what_the_file_says_stays_and_can_be_steered() {
    let (fixture, olga) = fixture().await;
    fixture
        .sql("insert into streams (name, address, managed_by_config) values ('cam', 'rtsp://camera', true)");
    for (method, path, body) in [
        ("PUT", "/api/v1/streams/cam/settings", change(json!(SOURCE))),
        ("PUT", "/api/v1/streams/cam/settings", change(Value::Null)),
        ("DELETE", "/api/v1/streams/cam", json!({})),
    ] {
        let refused = send(&fixture, method, path, &olga, body).await;
        assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("managed_by_config")), "{method}");
    }
    for order in ["stop", "start", "restart"] {
        let path = format!("/api/v1/streams/cam/{order}");
        assert_eq!(send(&fixture, "POST", &path, &olga, json!({})).await.status, 202);
    }
    assert_eq!(send(&fixture, "POST", "/api/v1/streams/cam/explode", &olga, json!({})).await.status, 404);
    assert_eq!(send(&fixture, "POST", "/api/v1/streams/nope/start", &olga, json!({})).await.status, 404);
    assert_eq!(*fixture.world.changed.lock().unwrap(), ["cam"; 3]);
    let row = fixture.app.store.find_stream("cam").await.unwrap().unwrap();
    assert_eq!((row.wanted, row.starts, row.restarts), (true, 1, 1));
}

#[actix_web::test]
async fn a_stopped_stream_is_remembered_and_a_deleted_one_is_gone() {
    let (fixture, olga) = fixture().await;
    create(&fixture, &olga).await;
    assert_eq!(send(&fixture, "POST", "/api/v1/streams/door/stop", &olga, json!({})).await.status, 202);
    assert!(!fixture.app.store.find_stream("door").await.unwrap().unwrap().wanted);
    let changed = send(&fixture, "PUT", "/api/v1/streams/door/settings", &olga, change(Value::Null)).await;
    assert_eq!(changed.status, 200);
    let row = fixture.app.store.find_stream("door").await.unwrap().unwrap();
    assert!(row.enabled && !row.wanted, "a change does not start what was stopped");
    assert_eq!(send(&fixture, "DELETE", "/api/v1/streams/door", &olga, json!({})).await.status, 204);
    assert_eq!(fixture.get("/api/v1/streams/door/settings", Some(&olga)).await.status, 404);
    assert_eq!(*fixture.world.changed.lock().unwrap(), ["door"; 4]);
}

#[actix_web::test]
async fn a_source_is_tried_before_it_is_saved() {
    let (fixture, olga) = fixture().await;
    let good = send(&fixture, "POST", "/api/v1/sources/test", &olga, json!({"source": "rtsp://c/1"})).await;
    assert_eq!((good.status, &good.json()["codec"]), (200, &json!("h264")));
    let bad = send(&fixture, "POST", "/api/v1/sources/test", &olga, json!({"source": "http://c/1"})).await;
    assert_eq!((bad.status, &bad.json()["code"]), (422, &json!("source_unreachable")));
    assert!(fixture.world.changed.lock().unwrap().is_empty());
}

#[actix_web::test]
async fn a_stream_that_there_is_no_room_for_is_refused_and_not_stored_unless_it_is_forced() {
    let (fixture, olga) = fixture().await;
    fixture.world.is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = create(&fixture, &olga).await;
    let problem = refused.json();
    assert_eq!((refused.status, &problem["code"]), (503, &json!("over_capacity")), "{}", refused.body);
    assert_eq!(problem["estimate"], json!({"loadPercent": 130, "budgetMs": 150}));
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert!(fixture.app.store.find_stream("door").await.unwrap().is_none());
    let keyed = async || {
        let bearer = format!("authorization: Bearer {olga}");
        let headers = [&*bearer, "content-type: application/json", "idempotency-key: gate-1"];
        let body = json!({"name": "gate", "source": SOURCE}).to_string();
        http(fixture.address, "POST", "/api/v1/streams", &headers, &body).await.status
    };
    assert_eq!(keyed().await, 503);
    fixture.world.is_full.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(keyed().await, 201, "a refusal is not kept under its key");
    fixture.world.is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let body = json!({"name": "door", "source": SOURCE, "enabled": false});
    let idle = send(&fixture, "POST", "/api/v1/streams", &olga, body).await;
    assert_eq!(idle.status, 201, "one that does not begin needs no room");
    for order in ["start", "restart"] {
        let path = format!("/api/v1/streams/door/{order}");
        let refused = send(&fixture, "POST", &path, &olga, json!({})).await;
        assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("over_capacity")), "{order}");
    }
    assert_eq!(send(&fixture, "POST", "/api/v1/streams/nope/start", &olga, json!({})).await.status, 404);
    let change = send(&fixture, "PUT", "/api/v1/streams/door/settings", &olga, change(Value::Null)).await;
    assert_eq!(change.status, 503);
    let row = fixture.app.store.find_stream("door").await.unwrap().unwrap();
    assert_eq!((row.enabled, row.starts, row.restarts), (false, 0, 0), "nothing was stored");
    let forced = send(&fixture, "POST", "/api/v1/streams/door/start?force=true", &olga, json!({})).await;
    assert_eq!(forced.status, 202);
    assert_eq!(send(&fixture, "POST", "/api/v1/streams/door/stop", &olga, json!({})).await.status, 202);
}

#[actix_web::test]
async fn an_order_that_is_refused_after_there_was_room_for_it_gives_the_room_back() {
    let (fixture, olga) = fixture().await;
    create(&fixture, &olga).await;
    let withdrawn = || std::mem::take(&mut *fixture.world.withdrawn.lock().unwrap());
    assert!(withdrawn().is_empty());
    assert_eq!(create(&fixture, &olga).await.status, 409, "the name is taken");
    assert_eq!(withdrawn(), ["door"]);
    let bearer = format!("authorization: Bearer {olga}");
    let headers = [&*bearer, "content-type: application/json", "if-match: \"99\""];
    let body = change(Value::Null).to_string();
    let stale = http(fixture.address, "PUT", "/api/v1/streams/door/settings", &headers, &body).await;
    assert_eq!((stale.status, withdrawn()), (412, vec!["door".to_owned()]));
}

#[actix_web::test]
async fn a_change_that_keeps_the_source_keeps_the_one_that_came_while_it_was_under_way() {
    let (fixture, olga) = fixture().await;
    create(&fixture, &olga).await;
    let store = fixture.app.store.clone();
    let sealer = fixture.app.sealer.clone();
    let faster = async move {
        let old = store.find_stream("door").await.unwrap().unwrap();
        let source = PrivateSource { address: "rtsp://user:new@camera/2".to_owned(), login: None };
        let spec = StreamSpec {
            address: "rtsp://***@camera/2".to_owned(),
            sealed_source: source.seal("door", &sealer).unwrap(),
            settings: old.settings.clone(),
            enabled: true,
            roles: Vec::new(),
        };
        store.change_stream("door", (old.id, old.revision), spec, None).await.unwrap();
        Ok(())
    };
    *fixture.world.meanwhile.lock().unwrap() = Some(Box::pin(faster));
    let changed = send(&fixture, "PUT", "/api/v1/streams/door/settings", &olga, change(Value::Null)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.json()["source"], "rtsp://***@camera/2");
    let row = fixture.app.store.find_stream("door").await.unwrap().unwrap();
    let kept = PrivateSource::open("door", &row.sealed_source.unwrap(), &fixture.app.sealer).unwrap();
    assert_eq!((kept.address.as_str(), row.revision), ("rtsp://user:new@camera/2", 3));
}
