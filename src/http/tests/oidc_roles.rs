//! What the claims of an identity provider mean for roles and for accounts that are closed.

use serde_json::json;

use super::client::send;
use super::identity_provider::{Key, Provider, sign_in};
use super::oidc::viewers;
use crate::accounts::RoleMapping;

fn mapping(default: Option<&str>) -> RoleMapping {
    let pair = |value: &str, role: &str| (value.to_owned(), role.to_owned());
    RoleMapping {
        claim: "groups".to_owned(),
        pairs: vec![pair("keepers", "operator"), pair("rulers", "admin"), pair("ghosts", "no-such-role")],
        default: default.map(str::to_owned),
    }
}

#[actix_web::test]
async fn with_a_mapping_the_provider_decides_at_each_login() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(mapping(Some("viewer")));
    fixture.user("root", &["admin"]).await;
    for (groups, role) in [
        (json!(["keepers", "others"]), "operator"),
        (json!(["rulers"]), "admin"),
        (json!([]), "viewer"),
        (json!("keepers"), "operator"),
    ] {
        let reply = sign_in(&provider, &fixture, &key, json!({"groups": groups})).await;
        let token = reply.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(fixture.get("/api/v1/me", Some(&token)).await.json()["roles"], json!([role]), "{groups}");
    }
}

#[actix_web::test]
async fn who_is_given_no_role_does_not_come_in() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(mapping(None));
    for groups in [json!(["others"]), json!(["ghosts"])] {
        let reply = sign_in(&provider, &fixture, &key, json!({"groups": groups})).await;
        assert_eq!((reply.status, &reply.json()["code"]), (403, &json!("no_role")), "{groups}");
    }
    assert!(fixture.app.store.list_users().await.unwrap().is_empty());
}

#[actix_web::test]
async fn the_last_administrator_stays_one_whatever_the_provider_says() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(mapping(Some("viewer")));
    for groups in [json!(["rulers"]), json!([])] {
        assert_eq!(sign_in(&provider, &fixture, &key, json!({"groups": groups})).await.status, 200);
        assert_eq!(fixture.app.store.count_admins().await.unwrap(), 1);
    }
}

#[actix_web::test]
async fn without_a_mapping_administrators_decide_and_a_closed_account_stays_closed() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(viewers());
    fixture.user("root", &["admin"]).await;
    let root = fixture.token_of("root").await;
    assert_eq!(sign_in(&provider, &fixture, &key, json!({})).await.status, 200);
    let change = async |body| send(&fixture, "PATCH", "/api/v1/users/ada", &root, body).await.status;
    assert_eq!(change(json!({"roles": ["operator"]})).await, 200);
    let reply = sign_in(&provider, &fixture, &key, json!({})).await;
    let token = reply.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(fixture.get("/api/v1/me", Some(&token)).await.json()["roles"], json!(["operator"]));

    assert_eq!(change(json!({"disabled": true})).await, 200);
    fixture.app.forget_all();
    assert_eq!(fixture.get("/api/v1/me", Some(&token)).await.status, 401);
    let reply = sign_in(&provider, &fixture, &key, json!({})).await;
    assert_eq!((reply.status, &reply.json()["code"]), (403, &json!("account_disabled")));
    let last = fixture.app.store.audit_page(None, Some("ada".into()), None, 1).await.unwrap().remove(0);
    assert_eq!((last.action.as_str(), last.outcome.as_str()), ("login.oidc", "refused"));
}

#[actix_web::test]
async fn a_mail_address_that_is_somebodys_stays_theirs() {
    let key = Key::curve("c");
    let provider = Provider::start(&[&key]);
    let fixture = provider.fixture(viewers());
    fixture.user("ada", &["admin"]).await;
    let claims = json!({"email": "ADA@example.org", "email_verified": true});
    assert_eq!(sign_in(&provider, &fixture, &key, claims).await.status, 200);
    let newcomer = fixture.app.store.find_user("ada-2").await.unwrap().unwrap();
    assert_eq!(
        (newcomer.email, newcomer.roles),
        (None, vec!["viewer".to_owned()]),
        "accounts are not linked by mail"
    );
}
