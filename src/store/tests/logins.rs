//! Logins that are refreshed, invitations, and mail addresses that belong to one account.

use super::super::testing::{now_us, store, text};
use super::super::*;
use super::records::user;

const MINUTE_US: i64 = 60_000_000;

fn make(store: &Store, name: &str, roles: &[&str]) -> i32 {
    store.wait(store.create_user(user(name, &format!("{name}@example.org"), roles), None)).unwrap()
}

/// A login whose first refresh token is made of ones.
fn login() -> Store {
    let store = store();
    let ada = i64::from(make(&store, "ada", &["viewer"]));
    store.wait(store.begin_login(ada, [1; 32], now_us() + MINUTE_US)).unwrap();
    store
}

/// Shows a refresh token for the next one; each is made of one number.
fn refresh(store: &Store, shown: u8, next: u8) -> Refreshed {
    store.wait(store.refresh_login([shown; 32], [next; 32], now_us())).unwrap()
}

#[test]
fn a_used_token_that_comes_again_later_ends_the_login() {
    let store = login();
    let ada = store.wait(store.find_login([1; 32])).unwrap().unwrap().0;
    assert_eq!(refresh(&store, 1, 2), Refreshed::Done);
    text(&store, "update refresh_tokens set used_at = used_at - interval '11 seconds'");
    assert_eq!(refresh(&store, 1, 3), Refreshed::Reused { user: ada });
    assert_eq!(refresh(&store, 2, 4), Refreshed::Unknown, "the whole login is over");
    assert_eq!(refresh(&store, 9, 4), Refreshed::Unknown, "nobody was given this one");
}

#[test]
fn a_refresh_whose_answer_was_lost_is_answered_again_until_the_next_token_is_used() {
    let store = login();
    for next in [2, 3, 4] {
        assert_eq!(refresh(&store, 1, next), Refreshed::Done);
    }
    assert_eq!(refresh(&store, 4, 5), Refreshed::Done, "the last answer is the one that counts");
    assert!(matches!(refresh(&store, 1, 6), Refreshed::Reused { .. }), "the answer had not been lost");
}

#[test]
fn the_token_of_a_lost_answer_is_void_and_ends_the_login_of_whoever_shows_it() {
    let store = login();
    for next in [2, 3] {
        assert_eq!(refresh(&store, 1, next), Refreshed::Done);
    }
    assert!(matches!(refresh(&store, 2, 4), Refreshed::Reused { .. }));
    assert_eq!(refresh(&store, 3, 5), Refreshed::Unknown, "one of the two is a thief");
}

#[test]
fn of_many_refreshes_at_once_one_token_is_good_in_the_end() {
    let store = login();
    let at_once = (2..8).map(|next| store.refresh_login([1; 32], [next; 32], now_us()));
    let done = store.wait(futures_util::future::join_all(at_once));
    let done: Vec<Refreshed> = done.into_iter().map(|one| one.unwrap()).collect();
    assert_eq!(done, [Refreshed::Done; 6]);
    assert_eq!(text(&store, "select count(*) from refresh_tokens where used_at is null"), "1");
}

fn invite(store: &Store, token: u8, inviter: i32, role: &str) {
    let (user, invited_by) = (None, Some(inviter));
    let invitation = OneTime { purpose: Purpose::Invite, user, invited_by, roles: vec![role.into()] };
    store.wait(store.create_one_time([token; 32], invitation, now_us() + MINUTE_US, None)).unwrap();
}

fn accept(store: &Store, token: u8, name: &str) -> Option<i32> {
    let newcomer = user(name, &format!("{name}@example.org"), &[]);
    store.wait(store.accept_invitation([token; 32], newcomer, now_us(), None)).unwrap()
}

fn waiting(store: &Store) -> String {
    text(store, "select count(*) from one_time_tokens")
}

#[test]
fn invitations_are_void_when_who_made_them_is_disabled_loses_a_role_or_has_another_password() {
    let store = store();
    make(&store, "root", &["admin"]);
    let roles = |roles: &[&str]| {
        let roles = roles.iter().map(ToString::to_string).collect();
        UserChange { roles: Some(roles), ..UserChange::default() }
    };
    let more = roles(&["admin", "operator", "viewer"]);
    let changes = [
        UserChange { disabled: Some(true), ..UserChange::default() },
        UserChange { password_hash: Some("$2b$12$other".into()), ..UserChange::default() },
        roles(&["viewer"]),
        roles(&[]),
    ];
    for (token, change) in (0..).zip(changes) {
        let name = format!("maker-{token}");
        let maker = make(&store, &name, &["operator", "viewer"]);
        invite(&store, token, maker, "viewer");
        store.wait(store.change_user(&name, more.clone(), None)).unwrap();
        assert_eq!(waiting(&store), "1", "who has more than before may invite as before");
        store.wait(store.change_user(&name, change, None)).unwrap();
        assert_eq!(waiting(&store), "0", "{name}");
        assert_eq!(accept(&store, token, "eve"), None);
    }
}

#[test]
fn an_invitation_is_not_good_without_an_open_account_that_made_it() {
    let store = store();
    let maker = make(&store, "ada", &["operator"]);
    invite(&store, 1, maker, "viewer");
    assert_eq!(store.wait(store.find_invitation([1; 32], now_us())).unwrap().unwrap().0, i64::from(maker));
    // Not by a change of the account, which would have made the invitation void.
    text(&store, "update users set disabled_at = now()");
    assert_eq!((accept(&store, 1, "eve"), waiting(&store).as_str()), (None, "1"));
    text(&store, "update users set disabled_at = null");
    assert!(accept(&store, 1, "eve").is_some());

    invite(&store, 2, maker, "viewer");
    store.wait(store.delete_user("ada", None)).unwrap();
    assert_eq!((accept(&store, 2, "ida"), waiting(&store).as_str()), (None, "0"));
}

#[test]
fn an_invitation_to_a_role_that_is_gone_is_not_good() {
    let store = store();
    let maker = make(&store, "ada", &["admin"]);
    store.wait(store.create_role("night", vec!["watch".into()], None)).unwrap();
    invite(&store, 1, maker, "night");
    store.wait(store.delete_role("night", None)).unwrap();
    assert_eq!(accept(&store, 1, "eve"), None);
    assert_eq!(store.wait(store.find_user("eve")).unwrap(), None, "nothing is left of the account");
}

#[test]
fn a_mail_address_belongs_to_one_account_however_it_is_written() {
    let store = store();
    make(&store, "ada", &[]);
    make(&store, "bob", &[]);
    let written = |email: &str| UserChange { email: Some(email.into()), ..UserChange::default() };
    for refused in [
        store.wait(store.create_user(user("eve", "ADA@example.org", &[]), None)).map(drop),
        store.wait(store.change_user("bob", written("Ada@Example.org"), None)),
    ] {
        match refused.unwrap_err() {
            StoreError::Conflict { field } => assert_eq!(field, "email"),
            other => panic!("{other}"),
        }
    }
    store.wait(store.change_user("ada", written("Ada@Example.org"), None)).unwrap();
    let found = store.wait(store.find_by_email("ADA@EXAMPLE.ORG")).unwrap().unwrap();
    assert_eq!((found.username.as_str(), found.email.as_deref()), ("ada", Some("Ada@Example.org")));
}
