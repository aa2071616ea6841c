//! Who may not subscribe is told before the upgrade: a status and a stable code for each reason.

use std::fs;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::raw_socket::{RawSocket, Refusal, subscription};
use crate::server_support::{Server, USER_PASSWORD, looping};
use crate::support::wait_for;

/// What a caller does wrong, and what it is told.
struct Case {
    name: &'static str,
    query: String,
    headers: String,
    told: (u16, &'static str),
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// A token as the server makes them, but for what is changed, signed with this key.
fn forged(key: &[u8], changes: &[(&str, Value)]) -> String {
    let mut claims = json!({
        "iss": "kinora", "aud": "kinora-api", "sub": "1", "name": "admin", "roles": ["admin"],
        "iat": now(), "exp": now() + 600, "jti": "forged",
    });
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    encode(&Header::default(), &claims, &EncodingKey::from_secret(key)).unwrap()
}

/// The token with one letter of its claims changed.
fn tampered(token: &str) -> String {
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let other = if claims.ends_with('A') { 'B' } else { 'A' };
    format!("{head}.{}{other}.{signature}", &claims[..claims.len() - 1])
}

/// The token as if nobody had to sign one.
fn unsigned(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
}

fn assert_told(name: &str, refusal: &Refusal, (status, code): (u16, &str)) {
    let problem = &refusal.problem;
    assert_eq!((refusal.status, &problem["code"]), (status, &code.into()), "{name}: {problem}");
    assert_eq!(refusal.content_type, "application/problem+json", "{name}");
    assert_eq!(problem["status"], status, "{name}: {problem}");
    for member in ["type", "title", "detail", "requestId"] {
        assert!(
            problem[member].as_str().is_some_and(|said| !said.is_empty()),
            "{name}: {member} in {problem}"
        );
    }
}

#[test]
fn each_reason_for_a_refusal_has_its_status_and_its_code() {
    let server = Server::start(&looping("dance"));
    let session = server.session("dance");
    server.create_user("robbed", "viewer");
    server
        .home
        .try_query("delete from user_roles using users where id = user_id and username = 'robbed'")
        .unwrap();
    let robbed = server.log_in_as("robbed", USER_PASSWORD);
    let good = server.token();
    let key = fs::read(server.home.data().join("token-key")).unwrap();
    assert!(
        RawSocket::ask(&server.address, "", &subscription(&forged(&key, &[]))).is_ok(),
        "the key is the server's"
    );

    let case = |name, query: &str, headers: String, status, code| Case {
        name,
        query: query.to_owned(),
        headers,
        told: (status, code),
    };
    let by = |name, token: &str, status, code| case(name, "", subscription(token), status, code);
    let asking = |name, query: &str, status, code| case(name, query, subscription(good), status, code);
    let bearer = format!("Authorization: Bearer {good}\r\n");
    let nothing = "01a203fc-0000-7000-8000-000000000000";
    let table = [
        case("no subprotocol", "", bearer.clone(), 400, "subprotocol_required"),
        case(
            "other subprotocols",
            "",
            format!("Sec-WebSocket-Protocol: xml, v1.json\r\n{bearer}"),
            400,
            "subprotocol_required",
        ),
        asking("an unknown member", "colour=red", 400, "invalid_query"),
        asking("an unknown event", "events=frameAnalyzed,earthquake", 400, "invalid_query"),
        asking("after without its session", "after=1", 400, "invalid_query"),
        asking("after that is no number", &format!("session={session}&after=-1"), 400, "invalid_query"),
        case("no token", "", "Sec-WebSocket-Protocol: json\r\n".to_owned(), 401, "token_missing"),
        case(
            "a password",
            "",
            "Sec-WebSocket-Protocol: json\r\nAuthorization: Basic YWRtaW46eA==\r\n".to_owned(),
            401,
            "token_missing",
        ),
        by("a malformed token", "not.a.token", 401, "token_invalid"),
        by("half a token", &good[..good.len() / 2], 401, "token_invalid"),
        by("a tampered token", &tampered(good), 401, "token_invalid"),
        by("an unsigned token", &unsigned(good), 401, "token_invalid"),
        by("another's signature", &forged(&[7; 64], &[]), 401, "token_invalid"),
        by("another's audience", &forged(&key, &[("aud", "bank".into())]), 401, "token_invalid"),
        by(
            "an old token",
            &forged(&key, &[("iat", (now() - 900).into()), ("exp", (now() - 1).into())]),
            401,
            "token_expired",
        ),
        by("no role", &robbed, 403, "forbidden"),
        asking("an unknown stream", "stream=dance&stream=nobody", 404, "stream_not_found"),
        asking("an unknown session", &format!("session={nothing}"), 404, "session_not_found"),
        asking("a number to come", &format!("session={session}&after=1000000000"), 409, "seq_ahead"),
    ];
    for Case { name, query, headers, told } in table {
        let Err(refusal) = RawSocket::ask(&server.address, &query, &headers) else {
            panic!("{name} was let in")
        };
        assert_told(name, &refusal, told);
    }
}

#[test]
fn connections_beyond_the_limits_are_refused_until_one_ends() {
    let limits = "[websocket]\nmax_per_user = 1\nmax_total = 2\n";
    let server = Server::start(limits);
    let tokens = ["one", "two", "three"].map(|name| {
        server.create_user(name, "agent");
        server.log_in_as(name, USER_PASSWORD)
    });
    let ask = |token: &str| RawSocket::ask(&server.address, "", &subscription(token));
    let told = (429, "too_many_connections");

    let first = ask(&tokens[0]).expect("the first connection");
    assert_told("the user's second", &ask(&tokens[0]).err().unwrap(), told);
    let _second = ask(&tokens[1]).expect("another user's first connection");
    assert_told("the server's third", &ask(&tokens[2]).err().unwrap(), told);
    drop(first);
    wait_for("a place that is free again", Duration::from_secs(10), || ask(&tokens[2]).ok());
}
