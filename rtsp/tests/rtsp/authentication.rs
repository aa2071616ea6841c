//! Against a scripted server that checks each proof by itself, and keeps all that it was sent.

use std::collections::HashSet;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kinora_rtsp::{AuthPolicy, ErrorKind, Options};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::script::*;
use super::support::{error, open, options, units};

const USER: (&str, &str) = ("us er", "p@ss:w/o%r#d");

fn hash(algorithm: &str, text: &str) -> String {
    let bytes = if algorithm.starts_with("SHA-256") {
        Sha256::digest(text).to_vec()
    } else {
        Md5::digest(text).to_vec()
    };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of a parameter of `Authorization: Digest ...`.
fn parameter(header: &str, name: &str) -> Option<String> {
    let after = header.split_once(&format!(" {name}="))?.1;
    Some(match after.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?.to_owned(),
        None => after.split(',').next()?.to_owned(),
    })
}

/// Whether the request proves that its sender knows the password, as the RFCs compute it.
fn proves(request: &Request, algorithm: &str, qop: bool, nonce: &str) -> bool {
    let Some(header) = request.header("Authorization") else { return false };
    let get = |name: &str| parameter(header, name).unwrap_or_default();
    let mut secret = hash(algorithm, &format!("{}:realm:{}", USER.0, USER.1));
    if algorithm.ends_with("-sess") {
        secret = hash(algorithm, &format!("{secret}:{nonce}:{}", get("cnonce")));
    }
    let what = hash(algorithm, &format!("{}:{}", request.method, request.uri));
    let middle = if qop { format!("{nonce}:{}:{}:auth", get("nc"), get("cnonce")) } else { nonce.to_owned() };
    get("nonce") == nonce
        && get("uri") == request.uri
        && get("opaque") == "op=q"
        && get("response") == hash(algorithm, &format!("{secret}:{middle}:{what}"))
}

fn challenge(request: &Request, challenges: &[&str]) -> Reply {
    let headers: String = challenges.iter().map(|text| format!("WWW-Authenticate: {text}\r\n")).collect();
    answer(request, "401 Unauthorized", &headers, "").into()
}

fn viewer(policy: AuthPolicy) -> Options {
    options(policy, Some(USER))
}

#[test]
fn each_form_of_digest_is_proved() {
    for algorithm in ["", "MD5", "MD5-sess", "SHA-256", "SHA-256-sess"] {
        for qop in [false, true] {
            let mut text = "Digest realm=\"realm\", nonce=\"n0nce\", opaque=\"op=q\"".to_owned();
            text += &if algorithm.is_empty() { String::new() } else { format!(", algorithm={algorithm}") };
            text += if qop { ", qop=\"auth,auth-int\"" } else { "" };
            let script = Script::start(move |request| match proves(request, algorithm, qop, "n0nce") {
                true => with_media(request, good(request), &media()),
                false => challenge(request, &[&text]),
            });
            let mut client = open(&script.address(), &viewer(AuthPolicy::Digest))
                .unwrap_or_else(|error| panic!("{algorithm} {qop}: {error}"));
            units(&mut client, 3);
            let refused =
                script.requests().iter().filter(|request| request.header("Authorization").is_none()).count();
            assert_eq!(refused, 1, "one challenge is enough for the whole session");
        }
    }
}

#[test]
fn no_nonce_count_is_used_twice_and_a_stale_nonce_is_renewed() {
    // Each nonce is good for two requests; whether the server says `stale` or not.
    for says_stale in [true, false] {
        let state = Mutex::new((1, 0, HashSet::new()));
        let script = Script::start(move |request| {
            let mut state = state.lock().unwrap();
            let (number, uses, seen) = &mut *state;
            let nonce = format!("nonce{number}");
            if *uses < 2 && proves(request, "MD5", true, &nonce) {
                *uses += 1;
                let header = request.header("Authorization").unwrap();
                assert!(seen.insert((nonce, parameter(header, "nc"))), "a count is used once");
                return with_media(request, good(request), &media());
            }
            let stale = says_stale && request.header("Authorization").is_some();
            *number += 1;
            *uses = 0;
            let text = format!(
                "Digest realm=\"realm\", nonce=\"nonce{number}\", qop=\"auth\", opaque=\"op=q\", stale={stale}"
            );
            challenge(request, &[&text])
        });
        let mut client = open(&script.address(), &viewer(AuthPolicy::Auto)).unwrap();
        units(&mut client, 3);
        assert!(script.transcript().contains("nonce3"), "more than one nonce was used");
    }
}

#[test]
fn digest_never_sends_a_password_in_basic() {
    let basic = "Basic realm=\"realm\"";
    let digest = "Digest realm=\"realm\", nonce=\"n\", opaque=\"op=q\"";
    let unknown = "Digest realm=\"realm\", nonce=\"n\", algorithm=TWINE";
    let both = format!("{basic}, {unknown}");
    let offers: [&[&str]; 6] =
        [&[basic], &[basic, digest], &[digest, basic], &[basic, unknown], &[&both], &[]];
    for offer in offers {
        let challenges: Vec<String> = offer.iter().map(|text| (*text).to_owned()).collect();
        let script = Script::start(move |request| {
            let challenges: Vec<&str> = challenges.iter().map(String::as_str).collect();
            challenge(request, &challenges)
        });
        let error = error(open(&script.address(), &viewer(AuthPolicy::Digest)));
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        let sent = script.transcript();
        for secret in
            [STANDARD.encode(format!("{}:{}", USER.0, USER.1)), STANDARD.encode(USER.1), USER.1.to_owned()]
        {
            assert!(!sent.contains(&secret) && !error.to_string().contains(&secret), "{sent}");
        }
        assert!(!sent.contains("Basic"), "{sent}");
    }
}

#[test]
fn basic_is_sent_when_the_policy_allows_it() {
    for policy in [AuthPolicy::Auto, AuthPolicy::Basic] {
        let script = Script::start(|request| match request.header("Authorization") {
            Some(_) => with_media(request, good(request), &media()),
            None => challenge(request, &["Basic realm=\"realm\""]),
        });
        units(&mut open(&script.address(), &viewer(policy)).unwrap(), 3);
        let expected = format!("Authorization: Basic {}", STANDARD.encode("us er:p@ss:w/o%r#d"));
        assert!(script.transcript().contains(&expected));
    }
}

#[test]
fn a_server_that_challenges_without_end_is_left() {
    let script = Script::start(|request| {
        let text =
            format!("Digest realm=\"realm\", nonce=\"{}\", stale=true", request.header("CSeq").unwrap());
        challenge(request, &[&text])
    });
    let error = error(open(&script.address(), &viewer(AuthPolicy::Auto)));
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(script.requests().len() < 10, "{}", script.requests().len());
}

#[test]
fn a_wrong_password_is_tried_once() {
    let text = "Digest realm=\"realm\", nonce=\"n\", opaque=\"op=q\"";
    let script = Script::start(move |request| challenge(request, &[text]));
    error(open(&script.address(), &viewer(AuthPolicy::Auto)));
    let tries = script.requests().iter().filter(|request| request.header("Authorization").is_some()).count();
    assert_eq!(tries, 1, "cameras lock an account after a few wrong passwords");
}
