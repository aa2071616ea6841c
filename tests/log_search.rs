//! No log holds a password, a token, a ticket or a key: looked for in all that every server of the tests wrote, when its
//! folder goes.
//!
//! What a secret looks like is known (a JSON Web Token, a key, 256 bits in hexadecimal, bcrypt, an address with a
//! password), and what a test used is remembered by [`Secrets`].

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Secrets that a test used and that look like nothing in particular.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<Vec<String>>);

impl Secrets {
    /// Remembers one; texts of a few letters could be anything.
    pub(crate) fn remember(&self, secret: &str) {
        if secret.len() >= 8 {
            self.0.lock().unwrap().push(secret.to_owned());
        }
    }

    /// Ends the test with a panic if a log below `folder` holds a secret.
    pub(crate) fn look_for_in(&self, folder: &Path) {
        // A second panic would end the process, and the first one says more.
        if std::thread::panicking() {
            return;
        }
        for log in logs(folder) {
            // A log that is not there any more holds nothing.
            let said = fs::read(&log).unwrap_or_default();
            for line in String::from_utf8_lossy(&said).lines() {
                if let Some(what) = self.found_in(line) {
                    panic!("{} holds {what}: {line}", log.display());
                }
            }
        }
    }

    /// What kind of secret is in a line.
    fn found_in(&self, line: &str) -> Option<&'static str> {
        let remembered = self.0.lock().unwrap().iter().any(|secret| line.contains(secret));
        let looks = [
            (remembered, "a secret of the test"),
            (has_token(line), "a token"),
            (has_key(line), "a key"),
            (has_digits(line), "a ticket or a refresh token"),
            (["$2a$", "$2b$", "$2y$"].iter().any(|head| line.contains(head)), "a hash"),
            (has_password(line), "an address with a password"),
        ];
        looks.into_iter().find_map(|(found, what)| found.then_some(what))
    }
}

/// What the server wrote at each start, what agents said of errors, and PostgreSQL's own log.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let here = |folder: &Path, is_log: fn(&str) -> bool| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let named = entries.filter(|entry| is_log(&entry.file_name().to_string_lossy()));
        named.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let own = here(folder, |name| name.starts_with("log-") || name.ends_with(".err"));
    [own, here(&folder.join("data/pg/log"), |_| true)].concat()
}

/// Header and claims of a JSON Web Token: both begin with `{"` in base64.
fn has_token(line: &str) -> bool {
    line.match_indices("eyJ").any(|(at, _)| {
        let (header, rest) = line[at..].split_once('.').unwrap_or_default();
        rest.starts_with("eyJ") && header.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    })
}

/// `kin_<id>_<secret>`; the id alone is told on purpose.
fn has_key(line: &str) -> bool {
    line.match_indices("kin_").any(|(at, head)| {
        let (id, secret) = line[at + head.len()..].split_once('_').unwrap_or_default();
        let hexadecimal = |text: &str| text.chars().take_while(char::is_ascii_hexdigit).count();
        hexadecimal(id) == id.len() && hexadecimal(secret) >= 16
    })
}

/// 64 hexadecimal digits in a row, no more and no less.
fn has_digits(line: &str) -> bool {
    line.split(|c: char| !c.is_ascii_hexdigit()).any(|digits| digits.len() == 64)
}

/// `scheme://user:password@host`; `***` is how the server writes one that it leaves out.
fn has_password(line: &str) -> bool {
    line.match_indices("://").any(|(at, joint)| {
        let end = |c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\\');
        let authority = line[at + joint.len()..].split(end).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.and_then(|user| user.split_once(':'))
            .is_some_and(|(_, password)| !matches!(password, "" | "***"))
    })
}

#[test]
fn every_kind_of_secret_is_found_and_ordinary_lines_are_not() {
    let secrets = Secrets::default();
    secrets.remember("open-sesame");
    secrets.remember("no");
    let digits = "0123456789abcdef".repeat(4);
    for secret in [
        "login of ada with open-sesame".to_owned(),
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc".to_owned(),
        format!("\"key\":\"kin_0123456789ab_{digits}\""),
        format!("/ws/analysis?ticket={digits} HTTP/1.1"),
        "password=$2b$12$abcdefghijklmnopqrstuv".to_owned(),
        "\"source\":\"rtsp://viewer:secret@127.0.0.1:554/1\"".to_owned(),
    ] {
        assert!(secrets.found_in(&secret).is_some(), "{secret}");
    }
    for plain in [
        "{\"address\":\"127.0.0.1:8080\",\"message\":\"listening\"}",
        "key kin_0123456789ab was revoked by nobody",
        "rtsp://***@127.0.0.1:554/1 and http://127.0.0.1:80/a@b:c",
        "rtsp://viewer:***@camera/1",
        "session 0198c2f4-0000-7000-8000-000000000000, revision 0123456789ab",
    ] {
        assert_eq!(secrets.found_in(plain), None, "{plain}");
    }
}

#[test]
fn a_log_of_a_server_or_its_database_is_searched() {
    for name in ["log-1", "agent-3.err", "data/pg/log/postgresql-1.log"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "one\ntold: open-sesame\n").unwrap();
        let secrets = Secrets::default();
        secrets.look_for_in(folder.path());
        secrets.remember("open-sesame");
        let found =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| secrets.look_for_in(folder.path())));
        assert!(found.is_err(), "{name}");
    }
}
