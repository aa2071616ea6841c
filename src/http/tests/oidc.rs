//! Sign-in by an identity provider: what comes in, and everything that must not.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::client::{http, post};
use super::fakes::Fixture;
use super::identity_provider::{Browser, CLIENT, Key, Provider, sign_in};
use crate::accounts::{RoleMapping, Secret};
use crate::http::auth::challenge;

/// Everybody is a viewer.
pub(super) fn viewers() -> RoleMapping {
    RoleMapping { default: Some("viewer".to_owned()), ..RoleMapping::default() }
}

async fn me(fixture: &Fixture, granted: &Value) -> Value {
    fixture.get("/api/v1/me", granted["access_token"].as_str()).await.json()
}

async fn accounts(fixture: &Fixture) -> usize {
    fixture.app.store.list_users().await.unwrap().len()
}

/// Makes an identity token of claims.
type Forgery = Box<dyn Fn(Value) -> String>;

#[actix_web::test]
async fn who_signs_in_gets_an_account_and_the_same_one_again() {
    let (rsa, curve) = (Key::rsa("r"), Key::curve("c"));
    let provider = Provider::start(&[&rsa, &curve]);
    let fixture = provider.fixture(viewers());
    let mut tokens = Vec::new();
    for key in [&rsa, &curve] {
        let reply = sign_in(&provider, &fixture, key, json!({})).await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")), "{}", reply.body);
        assert!(reply.header("set-cookie").unwrap().contains("Max-Age=0"), "the cookie is over");
        assert_eq!(
            me(&fixture, &reply.json()).await,
            json!({"username": "ada", "roles": ["viewer"], "permissions": ["watch"]})
        );
        tokens.push(reply.json()["refresh_token"].clone());
    }
    assert_eq!(accounts(&fixture).await, 1, "an account is known by issuer and subject");
    let again = post(&fixture, "/api/v1/auth/refresh", json!({"refresh_token": tokens[0]})).await;
    assert_eq!(again.status, 200);
    // Another person of the same name is another person.
    let reply = sign_in(&provider, &fixture, &rsa, json!({"sub": "subject-2"})).await;
    assert_eq!(me(&fixture, &reply.json()).await["username"], "ada-2");
    let done = fixture.app.store.audit_page(None, None, Some("login.oidc".into()), 10).await.unwrap();
    assert_eq!(done.iter().map(|row| row.actor.as_str()).collect::<Vec<_>>(), ["ada-2", "ada", "ada"]);
}

#[actix_web::test]
async fn an_account_of_the_provider_has_no_password_and_no_reset() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(viewers());
    let mail = json!({"email": "ada@example.org", "email_verified": true});
    assert_eq!(sign_in(&provider, &fixture, &key, mail).await.status, 200);
    for password in ["", "x", "ada"] {
        let before = fixture.app.passwords.checks();
        let body = json!({"username": "ada", "password": password});
        let reply = post(&fixture, "/api/v1/auth/login", body).await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!("invalid_credentials")));
        assert_eq!(fixture.app.passwords.checks() - before, 1, "the same work as for others");
    }
    fixture.user("bob", &["viewer"]).await;
    for email in ["ada@example.org", "bob@example.org"] {
        assert_eq!(post(&fixture, "/password-reset", json!({"email": email})).await.status, 202);
    }
    let mails =
        async || fixture.app.store.audit_page(None, None, Some("user.reset_mail".into()), 10).await.unwrap();
    while mails().await.is_empty() {
        actix_web::rt::task::yield_now().await;
    }
    assert_eq!(mails().await.iter().map(|row| row.target.as_str()).collect::<Vec<_>>(), ["bob"]);
}

#[actix_web::test]
async fn a_sign_in_is_ended_once_and_by_the_browser_that_began_it() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(viewers());
    let unknown = (400, json!("sign_in_unknown"));
    let code = async |reply: super::client::Reply| (reply.status, reply.json()["code"].clone());

    let (browser, other) = (Browser::begin(&fixture, "").await, Browser::begin(&fixture, "").await);
    let good = provider.grant(&browser, key.sign(&provider.claims(&browser)));
    let wrong = browser.come_back_with(&fixture, &[("code", &good), ("state", "of my own")]).await;
    assert_eq!(code(wrong).await, unknown, "a wrong state");
    assert_eq!(code(browser.come_back_with(&fixture, &[("code", &good)]).await).await, unknown, "no state");
    let stolen = [("code", &*good), ("state", &browser.asked["state"])];
    assert_eq!(code(other.come_back_with(&fixture, &stolen).await).await, unknown, "another browser");
    assert_eq!(
        code(browser.come_back(&fixture, &good).await).await,
        unknown,
        "it was used up by the other one"
    );

    let browser = Browser::begin(&fixture, "").await;
    let good = provider.grant(&browser, key.sign(&provider.claims(&browser)));
    assert_eq!(browser.come_back(&fixture, &good).await.status, 200);
    let good = provider.grant(&browser, key.sign(&provider.claims(&browser)));
    assert_eq!(code(browser.come_back(&fixture, &good).await).await, unknown, "a state that comes again");

    let browser = Browser::begin(&fixture, "").await;
    let denied = [("error", "access_denied"), ("state", &*browser.asked["state"])];
    let reply = browser.come_back_with(&fixture, &denied).await;
    assert!(
        reply.header("set-cookie").unwrap().contains("=; ") && reply.head.contains("Max-Age=0"),
        "{}",
        reply.head
    );
    assert_eq!(code(reply).await, (401, json!("sign_in_refused")));
    let browser = Browser::begin(&fixture, "").await;
    assert_eq!(code(browser.come_back(&fixture, "made up").await).await, (401, json!("sign_in_refused")));
}

#[actix_web::test]
async fn two_tabs_of_a_browser_sign_in_at_once() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(viewers());
    let (mut one, mut other) = (Browser::begin(&fixture, "").await, Browser::begin(&fixture, "").await);
    one.share(&other);
    other.share(&one);
    for tab in [&one, &other] {
        let code = provider.grant(tab, key.sign(&provider.claims(tab)));
        assert_eq!(tab.come_back(&fixture, &code).await.status, 200);
    }
}

#[actix_web::test]
async fn sign_ins_that_were_left_half_way_do_not_fill_the_browsers_cookies() {
    let provider = Provider::start(&[]);
    let fixture = provider.fixture(viewers());
    let kept = |count: usize| -> String {
        let names = (0..count).map(|number| format!("kinora_sign_in_{number:016x}=x"));
        let others = ["other=1".to_owned(), "kinora_sign_in_no-number=1".to_owned()];
        names.chain(others).collect::<Vec<_>>().join("; ")
    };
    for (begun, over) in [(0, 0), (7, 0), (8, 8), (30, 30)] {
        let headers = [&*format!("cookie: {}", kept(begun)), &*format!("x-forwarded-for: 203.0.113.{begun}")];
        let reply = http(fixture.address, "GET", "/api/v1/auth/oidc/login", &headers, "").await;
        let set =
            reply.head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie: kinora_sign_in_"));
        let (ended, fresh): (Vec<&str>, Vec<&str>) = set.partition(|line| line.contains("Max-Age=0"));
        assert_eq!((reply.status, ended.len(), fresh.len()), (302, over, 1), "{}", reply.head);
    }
}

#[actix_web::test]
async fn forged_expired_and_foreign_id_tokens_are_refused() {
    let (rsa, stranger) = (Key::rsa("r"), Key::curve("c"));
    let provider = Provider::start(&[&rsa, &Key::curve("c")]);
    let fixture = provider.fixture(viewers());
    let now = jsonwebtoken::get_current_timestamp();
    let changed = |member: &'static str, value: Value| {
        let rsa = rsa.clone();
        Box::new(move |mut claims: Value| {
            claims[member] = value.clone();
            rsa.sign(&claims)
        }) as Forgery
    };
    let shared = rsa.public()["n"].as_str().unwrap().to_owned();
    let with_public_key = move |claims: Value| {
        let header = Header { kid: Some("r".into()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(shared.as_bytes())).unwrap()
    };
    let unsigned = |claims: Value| {
        let signed = Key::rsa("r").sign(&claims);
        let payload = signed.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.")
    };
    let tampered = |claims: Value| {
        let good = Key::rsa("r").sign(&claims);
        let parts: Vec<&str> = good.split('.').collect();
        let mut other = claims;
        other["sub"] = json!("somebody else");
        let payload = Key::rsa("r").sign(&other).split('.').nth(1).unwrap().to_owned();
        format!("{}.{payload}.{}", parts[0], parts[2])
    };
    let forged: Vec<(&str, Forgery)> = vec![
        ("wrong nonce", changed("nonce", json!("another"))),
        ("no nonce", changed("nonce", Value::Null)),
        ("wrong audience", changed("aud", json!("another"))),
        ("several audiences, none named", changed("aud", json!([CLIENT, "another"]))),
        ("made for another program", changed("azp", json!("another"))),
        ("wrong issuer", changed("iss", json!("http://another/tenant"))),
        ("issuers", changed("iss", json!([provider.issuer()]))),
        ("expired", changed("exp", json!(now - 120))),
        ("no expiry", changed("exp", Value::Null)),
        ("from the future", changed("iat", json!(now + 3_600))),
        ("not good yet", changed("nbf", json!(now + 3_600))),
        ("no subject", changed("sub", Value::Null)),
        ("empty subject", changed("sub", json!(""))),
        ("alg none", Box::new(unsigned)),
        ("the public key as a shared secret", Box::new(with_public_key)),
        ("tampered", Box::new(tampered)),
        ("another key of a known name", Box::new(move |claims| stranger.sign(&claims))),
        ("an unknown key", Box::new(|claims| Key::curve("nobody").sign(&claims))),
        ("rubbish", Box::new(|_| "a.b.c".to_owned())),
    ];
    for (name, forge) in &forged {
        let browser = Browser::begin(&fixture, "").await;
        let code = provider.grant(&browser, forge(provider.claims(&browser)));
        let reply = browser.come_back(&fixture, &code).await;
        assert_eq!((reply.status, &reply.json()["code"]), (401, &json!("sign_in_refused")), "{name}");
    }
    assert_eq!(accounts(&fixture).await, 0);
    let written = fixture.app.store.audit_page(None, None, Some("login.oidc".into()), 100).await.unwrap();
    assert_eq!(written.iter().filter(|row| row.outcome == "refused").count(), forged.len());
    let late = sign_in(&provider, &fixture, &rsa, json!({"exp": now - 20, "iat": now + 20})).await;
    assert_eq!(late.status, 200, "clocks may differ by a minute: {}", late.body);
}

#[actix_web::test]
async fn a_new_key_of_the_provider_is_read_once_and_strange_ones_not_again_and_again() {
    let (old, new) = (Key::curve("old"), Key::curve("new"));
    let provider = Provider::start(&[&old]);
    let fixture = provider.fixture(viewers());
    for _ in 0..2 {
        assert_eq!(sign_in(&provider, &fixture, &old, json!({})).await.status, 200);
    }
    assert_eq!(provider.keys_read(), 1, "keys are kept");
    provider.publish(&[&new]);
    assert_eq!(sign_in(&provider, &fixture, &new, json!({})).await.status, 200, "the provider has a new key");
    for _ in 0..3 {
        assert_eq!(sign_in(&provider, &fixture, &Key::curve("made up"), json!({})).await.status, 401);
        assert_eq!(sign_in(&provider, &fixture, &old, json!({})).await.status, 401, "the old key is over");
    }
    assert_eq!(provider.keys_read(), 2, "strange keys make nobody ask");
}

#[actix_web::test]
async fn a_provider_that_is_away_or_odd_is_told_as_such() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(viewers());
    let browser = Browser::begin(&fixture, "").await;
    provider.break_with("nonsense");
    let reply = browser.come_back(&fixture, "code").await;
    assert_eq!((reply.status, &reply.json()["code"]), (502, &json!("provider_odd")));
    let browser = Browser::begin(&fixture, "").await;
    drop(provider);
    let reply = browser.come_back(&fixture, "code").await;
    assert_eq!((reply.status, &reply.json()["code"]), (503, &json!("provider_away")), "{}", reply.body);

    let away = Provider::start(&[&key]);
    let fixture = away.fixture(viewers());
    drop(away);
    let reply = fixture.get("/api/v1/auth/oidc/login", None).await;
    assert_eq!((reply.status, &reply.json()["code"]), (503, &json!("provider_away")));
}

#[actix_web::test]
async fn a_page_or_a_program_gets_a_code_that_only_it_can_redeem() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(viewers());
    let secret = Secret::new().unwrap();
    let verifier = secret.expose();
    let query = format!(
        "?return_to=https%3A%2F%2Fconsole.example%2Fafter%3Fx%3D1&code_challenge={}",
        challenge(verifier)
    );
    for wrong in
        ["?return_to=https%3A%2F%2Fevil.example", "?return_to=%2Fconsole", "?return_to=%2Fc&code_challenge=x"]
    {
        let reply = fixture.get(&format!("/api/v1/auth/oidc/login{wrong}"), None).await;
        assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("invalid_query")), "{wrong}");
    }
    let code = async || {
        let browser = Browser::begin(&fixture, &query).await;
        let code = provider.grant(&browser, key.sign(&provider.claims(&browser)));
        let reply = browser.come_back(&fixture, &code).await;
        let location = reply.header("location").unwrap().to_owned();
        assert_eq!((reply.status, reply.body.as_str()), (302, ""));
        location.strip_prefix("https://console.example/after?x=1&code=").unwrap().to_owned()
    };
    let redeem = async |code: &str, verifier: &str| {
        post(&fixture, "/api/v1/auth/oidc/token", json!({"code": code, "code_verifier": verifier})).await
    };
    let stolen = code().await;
    let reply = redeem(&stolen, "another's verifier").await;
    assert_eq!((reply.status, &reply.json()["code"]), (400, &json!("code_invalid")));
    assert_eq!(redeem(&stolen, verifier).await.status, 400, "it was used up");
    let good = code().await;
    let granted = redeem(&good, verifier).await;
    assert_eq!(me(&fixture, &granted.json()).await["username"], "ada");
    assert_eq!(redeem(&good, verifier).await.status, 400, "it is good once");
}

#[actix_web::test]
async fn a_sign_in_asks_for_what_the_standard_says() {
    let provider = Provider::start(&[]);
    let fixture = provider.fixture(viewers());
    let (one, other) = (Browser::begin(&fixture, "").await, Browser::begin(&fixture, "").await);
    for (member, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("scope", "openid profile"),
        ("redirect_uri", "https://kinora.example/api/v1/auth/oidc/callback"),
        ("code_challenge_method", "S256"),
        ("tenant", "1"),
    ] {
        assert_eq!(one.asked[member], value, "{member}");
    }
    for secret in ["state", "nonce", "code_challenge"] {
        assert_ne!(one.asked[secret], other.asked[secret], "{secret}");
    }
    let headers = ["x-forwarded-for: 203.0.113.77"];
    let reply = http(fixture.address, "GET", "/api/v1/auth/oidc/login?colour=red", &headers, "").await;
    assert_eq!(reply.status, 400);
}
