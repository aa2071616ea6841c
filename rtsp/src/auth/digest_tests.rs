//! The examples of the RFCs, and what cameras make of them.

use super::super::challenge::parse;
use super::*;

/// The parameters of the header that answers `challenge`, in order.
fn answer(challenge: &str, user: (&str, &str), cnonce: &str, uri: &str) -> Vec<(String, String)> {
    let credentials = Credentials::new(user.0, user.1);
    let mut digest = Digest::with_cnonce(&parse(challenge)[0], &credentials, cnonce.to_owned()).unwrap();
    parameters(&digest.authorize("GET", uri).unwrap())
}

fn parameters(header: &str) -> Vec<(String, String)> {
    let names = [
        "username",
        "userhash",
        "username*",
        "realm",
        "nonce",
        "uri",
        "algorithm",
        "cnonce",
        "nc",
        "qop",
        "response",
        "opaque",
    ];
    let read = parse(header).remove(0);
    assert_eq!(read.scheme, "Digest");
    let value = |name: &str| read.get(name).map(|value| (name.to_owned(), value.to_owned()));
    names.into_iter().filter_map(value).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_example_of_rfc_2617_is_reproduced() {
    let challenge = r#"Digest realm="testrealm@host.com", qop="auth,auth-int",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let expected = pairs(&[
        ("username", "Mufasa"),
        ("realm", "testrealm@host.com"),
        ("nonce", "dcd98b7102dd2f0e8b11d0f600bfb0c093"),
        ("uri", "/dir/index.html"),
        ("cnonce", "0a4f113b"),
        ("nc", "00000001"),
        ("qop", "auth"),
        ("response", "6629fae49393a05397450978507c4ef1"),
        ("opaque", "5ccc069c403ebaf9f0171e9517f40e41"),
    ]);
    assert_eq!(answer(challenge, ("Mufasa", "Circle Of Life"), "0a4f113b", "/dir/index.html"), expected);
}

#[test]
fn the_examples_of_rfc_7616_are_reproduced() {
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let challenge = format!(
            r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm},
            nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#
        );
        let expected = pairs(&[
            ("username", "Mufasa"),
            ("realm", "http-auth@example.org"),
            ("nonce", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
            ("uri", "/dir/index.html"),
            ("algorithm", algorithm),
            ("cnonce", cnonce),
            ("nc", "00000001"),
            ("qop", "auth"),
            ("response", response),
            ("opaque", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"),
        ]);
        assert_eq!(answer(&challenge, ("Mufasa", "Circle of Life"), cnonce, "/dir/index.html"), expected);
    }
}

#[test]
fn the_example_of_rfc_7616_with_a_hashed_name_is_reproduced() {
    let challenge = r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256,
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
        charset=UTF-8, userhash=true"#;
    let user = ("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
    let answer = answer(challenge, user, "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "/doe.json");
    let value = |name: &str| answer.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
    // The RFC's own figures are those of another hash; these are its verified erratum 4897.
    assert_eq!(value("username"), Some("793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"));
    assert_eq!(value("response"), Some("3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"));
    assert_eq!(value("userhash"), Some("true"));
}

#[test]
fn without_qop_the_answer_is_that_of_rfc_2069() {
    let answer = answer("Digest realm=\"r\", nonce=\"n\"", ("u", "p"), "c", "/x");
    let hash = |parts: &[&str]| Hash::Md5.of(parts);
    let response = hash(&[&hash(&["u", "r", "p"]), "n", &hash(&["GET", "/x"])]);
    let expected =
        pairs(&[("username", "u"), ("realm", "r"), ("nonce", "n"), ("uri", "/x"), ("response", &response)]);
    assert_eq!(answer, expected);
}

#[test]
fn sha_256_without_qop_names_its_algorithm() {
    let answer = answer("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256", ("u", "p"), "c", "/x");
    assert!(answer.contains(&("algorithm".to_owned(), "SHA-256".to_owned())), "{answer:?}");
    assert_eq!(answer.last().unwrap().1.len(), 64);
}

#[test]
fn a_session_key_is_bound_to_both_nonces() {
    let answer =
        answer("Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=auth", ("u", "p"), "c", "/x");
    let hash = |parts: &[&str]| Hash::Md5.of(parts);
    let secret = hash(&[&hash(&["u", "r", "p"]), "n", "c"]);
    let response = hash(&[&secret, "n", "00000001", "c", "auth", &hash(&["GET", "/x"])]);
    assert!(answer.contains(&("response".to_owned(), response)));
}

#[test]
fn the_nonce_count_rises_with_each_use() {
    let challenge = &parse("Digest realm=\"r\", nonce=\"n\", qop=\"auth\"")[0];
    let mut digest = Digest::new(challenge, &Credentials::new("u", "p")).unwrap();
    let counts: Vec<_> = (0..11)
        .map(|_| parse(&digest.authorize("PLAY", "/x").unwrap())[0].get("nc").unwrap().to_owned())
        .collect();
    assert_eq!((&*counts[0], &*counts[10]), ("00000001", "0000000b"));
}

#[test]
fn any_name_is_sent_so_that_no_header_breaks() {
    let sent = |challenge: &str, name| {
        let mut digest = Digest::new(&parse(challenge)[0], &Credentials::new(name, "p")).unwrap();
        digest.authorize("PLAY", "/x").unwrap()
    };
    let plain = "Digest realm=\"r\", nonce=\"n\"";
    let utf8 = "Digest realm=\"r\", nonce=\"n\", charset=UTF-8";
    assert!(sent(plain, "a\"b\\c@:/%# ").contains(r#"username="a\"b\\c@:/%# ""#));
    assert!(sent(plain, "J\u{e4}s").contains("username=\"J\u{e4}s\""));
    assert!(sent(utf8, "J\u{e4}s").contains("username*=UTF-8''J%C3%A4s"));
    assert!(!sent(plain, "a\r\nX: y").contains(['\r', '\n']));
}

#[test]
fn what_cannot_be_answered_is_known_before() {
    let understood = |challenge: &str| Digest::understands(&parse(challenge)[0]);
    assert!(understood("Digest realm=\"r\", nonce=\"n\", qop=\"\""));
    assert!(!understood("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""));
    assert!(!understood("Digest realm=\"r\", nonce=\"n\", algorithm=WHIRLPOOL"));
    assert!(!understood("Digest realm=\"r\"") && !understood("Basic realm=\"r\", nonce=\"n\""));
}
