//! Accounts: logins that are refreshed and ended, sign-up, passwords; in a real database.

use std::path::Path;

use serde_json::{Value, json};

use super::client::{close_code, http, post, send};
use super::fakes::{Fixture, PASSWORD};
use crate::accounts::{Secret, first_admin};
use crate::http::Signup;
use crate::store::{OneTime, Purpose};

async fn login(fixture: &Fixture, user: &str, password: &str) -> Value {
    let reply = post(fixture, "/api/v1/auth/login", json!({"email": user, "password": password})).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

async fn refresh(fixture: &Fixture, token: &str) -> (u16, Value) {
    let reply = post(fixture, "/api/v1/auth/refresh", json!({"refresh_token": token})).await;
    (reply.status, reply.json())
}

#[actix_web::test]
async fn both_logins_grant_tokens_that_open_the_api() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    let form = format!("grant_type=password&username=ada&password={}", PASSWORD.replace(' ', "+"));
    let kind = "content-type: application/x-www-form-urlencoded";
    let form = http(fixture.address, "POST", "/login", &[kind], &form).await;
    assert_eq!((form.status, form.header("cache-control")), (200, Some("no-store")));
    let by_name = login(&fixture, "ada", PASSWORD).await;
    let by_mail = login(&fixture, "Ada@Example.org", PASSWORD).await;
    for granted in [form.json(), by_name, by_mail] {
        assert_eq!((&granted["token_type"], &granted["expires_in"]), (&json!("bearer"), &json!(900)));
        let me = fixture.get("/api/v1/me", Some(text(&granted, "access_token"))).await;
        assert_eq!(
            (me.status, me.json()),
            (200, json!({"username": "ada", "roles": ["viewer"], "permissions": ["watch"]}))
        );
    }
}

#[actix_web::test]
async fn known_and_unknown_users_cost_the_same_hashes_and_get_one_answer() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    fixture.user("gone", &["viewer"]).await;
    fixture.disable("gone").await;
    let mut answers = Vec::new();
    for (user, password) in [
        ("ada", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("nobody@example.org", PASSWORD),
        ("a\0b", PASSWORD),
        ("' or 1=1 --", PASSWORD),
        ("ada", &"x".repeat(100)),
    ] {
        let before = fixture.app.passwords.checks();
        let body = json!({"username": user, "password": password});
        let reply = post(&fixture, "/api/v1/auth/login", body).await;
        assert_eq!(fixture.app.passwords.checks() - before, 1, "{user:?}");
        let mut problem = reply.json();
        problem.as_object_mut().unwrap().remove("requestId");
        answers.push((reply.status, problem));
    }
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let refused = fixture.app.store.audit_page(None, None, Some("login".into()), 10).await.unwrap();
    assert_eq!(refused.iter().filter(|row| row.outcome == "refused").count(), 7, "each is written down");
}

#[actix_web::test]
async fn a_refresh_token_is_good_once_and_its_copy_ends_the_login() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    let first = login(&fixture, "ada", PASSWORD).await;
    let other = login(&fixture, "ada", PASSWORD).await;
    let (status, second) = refresh(&fixture, text(&first, "refresh_token")).await;
    assert_eq!(status, 200);
    assert_eq!(fixture.get("/api/v1/me", Some(text(&second, "access_token"))).await.status, 200);
    let mut socket =
        fixture.try_subscribe("", Some("json"), Some(text(&second, "access_token"))).await.unwrap();

    long_after(&fixture);
    let (status, problem) = refresh(&fixture, text(&first, "refresh_token")).await;
    assert_eq!((status, text(&problem, "code")), (401, "refresh_reused"));
    let (status, problem) = refresh(&fixture, text(&second, "refresh_token")).await;
    assert_eq!((status, text(&problem, "code")), (401, "refresh_invalid"), "the whole login is over");
    assert_eq!(close_code(&mut socket).await, Some(4401));
    assert_eq!(refresh(&fixture, text(&other, "refresh_token")).await.0, 200, "another login goes on");
    assert_eq!(refresh(&fixture, "rubbish").await.0, 401);
}

/// Makes what was done with refresh tokens older than an answer may be late.
fn long_after(fixture: &Fixture) {
    fixture.sql("update refresh_tokens set used_at = used_at - interval '1 minute'");
}

#[actix_web::test]
async fn of_two_refreshes_at_once_one_counts_as_lost_and_its_token_ends_the_login() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    let first = login(&fixture, "ada", PASSWORD).await;
    let token = text(&first, "refresh_token");
    let (one, two) = tokio::join!(refresh(&fixture, token), refresh(&fixture, token));
    assert_eq!((one.0, two.0), (200, 200));
    let mut statuses = Vec::new();
    for granted in [&one.1, &two.1, &one.1, &two.1] {
        statuses.push(refresh(&fixture, text(granted, "refresh_token")).await.0);
    }
    assert!(statuses[..2].contains(&401), "two of one token are one too many: {statuses:?}");
    assert_eq!(statuses[2..], [401, 401], "the whole login is over");
}

#[actix_web::test]
async fn a_refresh_whose_answer_was_lost_may_be_asked_again() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    let first = login(&fixture, "ada", PASSWORD).await;
    let token = text(&first, "refresh_token");
    assert_eq!(refresh(&fixture, token).await.0, 200, "this answer is lost");
    let (status, second) = refresh(&fixture, token).await;
    assert_eq!(status, 200, "{second}");
    let (status, third) = refresh(&fixture, text(&second, "refresh_token")).await;
    assert_eq!(status, 200, "{third}");
    assert_eq!(fixture.get("/api/v1/me", Some(text(&third, "access_token"))).await.status, 200);
    let (status, problem) = refresh(&fixture, token).await;
    assert_eq!((status, text(&problem, "code")), (401, "refresh_reused"), "no answer is lost now");
}

#[actix_web::test]
async fn a_refresh_that_cannot_be_answered_does_not_use_its_token_up() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    let first = login(&fixture, "ada", PASSWORD).await;
    // Who somebody is cannot be read without this table; the tables of logins are there.
    fixture.sql("alter table retired_streams rename to retired_streams_away");
    fixture.app.forget_all();
    assert_eq!(refresh(&fixture, text(&first, "refresh_token")).await.0, 503);
    fixture.sql("alter table retired_streams_away rename to retired_streams");
    long_after(&fixture);
    let (status, second) = refresh(&fixture, text(&first, "refresh_token")).await;
    assert_eq!(status, 200, "{second}");
}

#[actix_web::test]
async fn a_logout_is_felt_at_once() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    let granted = login(&fixture, "ada", PASSWORD).await;
    let token = text(&granted, "access_token");
    assert_eq!(send(&fixture, "POST", "/api/v1/auth/logout", token, json!({})).await.status, 204);
    let reply = fixture.get("/api/v1/me", Some(token)).await;
    assert_eq!((reply.status, text(&reply.json(), "code")), (401, "token_revoked"));
    assert_eq!(refresh(&fixture, text(&granted, "refresh_token")).await.0, 401);
}

#[actix_web::test]
async fn a_changed_password_ends_all_logins_and_the_first_file() {
    let fixture = Fixture::with_database();
    fixture.user("admin", &["admin"]).await;
    std::fs::write(first_admin::path(fixture.folder.path()), first_admin::text("admin", PASSWORD)).unwrap();
    let granted = login(&fixture, "admin", PASSWORD).await;
    let token = text(&granted, "access_token");
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        let reply = send(&fixture, "POST", "/api/v1/me/password", token, body).await;
        (reply.status, if reply.status == 204 { Value::Null } else { reply.json()["code"].clone() })
    };
    assert_eq!(change("wrong", "another secret").await, (400, json!("wrong_password")));
    assert_eq!(change(PASSWORD, "short").await, (400, json!("password_too_short")));
    assert_eq!(change(PASSWORD, &"ä".repeat(37)).await, (400, json!("password_too_long")));
    assert_eq!(change(PASSWORD, &"ä".repeat(36)).await, (204, Value::Null), "72 bytes are not too many");
    assert!(!first_admin::path(fixture.folder.path()).exists());
    assert_eq!(refresh(&fixture, text(&granted, "refresh_token")).await.0, 401);
    login(&fixture, "admin", &"ä".repeat(36)).await;
}

#[actix_web::test]
async fn accounts_are_made_by_nobody_by_the_invited_or_by_everybody() {
    let ask = |name: &str, invitation: Value| {
        let email = format!("{name}@example.net");
        json!({"username": name, "email": email, "password": "good enough", "invitation": invitation})
    };
    let off = Fixture::with_database();
    assert_eq!(post(&off, "/signup", ask("eve", Value::Null)).await.status, 403);

    let invite = Fixture::with_signup(Signup::Invite);
    assert_eq!(post(&invite, "/signup", ask("eve", Value::Null)).await.status, 403);
    assert_eq!(post(&invite, "/signup", ask("eve", json!("rubbish"))).await.status, 400);
    invite.user("root", &["admin"]).await;
    let invited_by = Some(invite.app.store.find_user("root").await.unwrap().unwrap().id);
    let secret = Secret::new().unwrap();
    let roles = vec!["operator".to_owned()];
    let token = OneTime { purpose: Purpose::Invite, user: None, invited_by, roles };
    let until = invite.app.clock.unix_us() + 60_000_000;
    invite.app.store.create_one_time(secret.digest(), token, until, None).await.unwrap();
    let made = post(&invite, "/signup", ask("eve", json!(secret.expose()))).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(post(&invite, "/signup", ask("ida", json!(secret.expose()))).await.status, 400, "used");
    let granted = login(&invite, "eve", "good enough").await;
    let me = invite.get("/api/v1/me", Some(text(&granted, "access_token"))).await.json();
    assert_eq!(me["roles"], json!(["operator"]));

    let open = Fixture::with_signup(Signup::Open);
    assert_eq!(post(&open, "/signup", ask("eve", Value::Null)).await.status, 201);
    let again = post(&open, "/signup", ask("eve", Value::Null)).await;
    assert_eq!((again.status, text(&again.json(), "code")), (409, "taken"));
    for wrong in ["a@b", "a b", "", "x'; drop table users; --", "../etc", "a\0b", &"x".repeat(65)] {
        assert_eq!(post(&open, "/signup", ask(wrong, Value::Null)).await.status, 400, "{wrong:?}");
    }
}

#[actix_web::test]
async fn nobody_signs_up_with_another_ones_address_in_other_letters() {
    let fixture = Fixture::with_signup(Signup::Open);
    fixture.user("victim", &["viewer"]).await;
    let body = json!({"username": "eve", "email": "VICTIM@example.org", "password": "good enough"});
    let refused = post(&fixture, "/signup", body).await;
    assert_eq!((refused.status, text(&refused.json(), "code")), (409, "taken"));
    login(&fixture, "Victim@example.org", PASSWORD).await;
}

#[actix_web::test]
async fn a_forgotten_password_is_reset_by_mail_once() {
    let fixture = Fixture::with_database();
    fixture.user("ada", &["viewer"]).await;
    let granted = login(&fixture, "ada", PASSWORD).await;
    for address in ["ada@example.org", "nobody@example.org"] {
        let reply = post(&fixture, "/password-reset", json!({"email": address})).await;
        assert_eq!((reply.status, reply.body.as_str()), (202, ""), "{address}");
    }
    let token = mailed_token(&fixture.folder.path().join("mail")).await;
    let confirm = async |token: &str, password: &str| {
        let body = json!({"token": token, "password": password});
        post(&fixture, "/password-reset/confirm", body).await.status
    };
    assert_eq!(confirm("rubbish", "a new secret").await, 400);
    assert_eq!(confirm(&token, "a new secret").await, 204);
    assert_eq!(confirm(&token, "once again!").await, 400, "it is good once");
    assert_eq!(refresh(&fixture, text(&granted, "refresh_token")).await.0, 401);
    login(&fixture, "ada", "a new secret").await;
}

/// The token in the only mail, once it is there.
async fn mailed_token(folder: &Path) -> String {
    loop {
        let mails: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
        assert!(mails.len() <= 1, "an unknown address gets no mail");
        let text =
            mails.first().map(|mail| std::fs::read_to_string(mail.path()).unwrap()).unwrap_or_default();
        let is_token = |line: &&str| line.len() == 64 && line.chars().all(|c| c.is_ascii_hexdigit());
        if let Some(token) = text.lines().find(is_token) {
            return token.to_owned();
        }
        actix_web::rt::task::yield_now().await;
    }
}
