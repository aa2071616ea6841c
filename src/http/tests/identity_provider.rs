//! A small identity provider on a real socket, with keys of its own, and the browser of a person who signs in there.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::client::{Reply, http};
use super::fakes::{Doors, Fixture};
use crate::accounts::RoleMapping;
use crate::http::OidcSettings;
use crate::http::auth::challenge;

pub(super) const CLIENT: &str = "kinora-test";
const CLIENT_SECRET: &str = "hunter2 & more";
const REDIRECT: &str = "https://kinora.example/api/v1/auth/oidc/callback";

/// A key with its name.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: &'static str,
    pub(super) algorithm: Algorithm,
    secret: EncodingKey,
}

impl Key {
    /// An RSA key.
    pub(super) fn rsa(kid: &'static str) -> Self {
        static DER: OnceLock<Vec<u8>> = OnceLock::new();
        let make = "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 \
            | openssl rsa -traditional -outform DER";
        let secret = EncodingKey::from_rsa_der(DER.get_or_init(|| openssl(make)));
        Self { kid, algorithm: Algorithm::RS256, secret }
    }

    /// A new key on the curve P-256.
    pub(super) fn curve(kid: &'static str) -> Self {
        let make = "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
            | openssl pkcs8 -topk8 -nocrypt -outform DER";
        Self { kid, algorithm: Algorithm::ES256, secret: EncodingKey::from_ec_der(&openssl(make)) }
    }

    /// What is published of it.
    pub(super) fn public(&self) -> Value {
        let mut public =
            serde_json::to_value(Jwk::from_encoding_key(&self.secret, self.algorithm).unwrap()).unwrap();
        public["kid"] = self.kid.into();
        public["use"] = "sig".into();
        public
    }

    /// A token that says this.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, claims, &self.secret).unwrap()
    }
}

fn openssl(command: &str) -> Vec<u8> {
    let output = Command::new("/bin/sh").args(["-c", command]).output().unwrap();
    assert!(
        !output.stdout.is_empty(),
        "openssl should be installed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// What the provider knows.
#[derive(Default)]
struct State {
    published: Vec<Value>,
    /// Codes with their challenge and token.
    codes: HashMap<String, (String, String)>,
    /// How often each address was asked.
    asked: HashMap<String, u32>,
    /// The answer to everything, if it is broken.
    broken: Option<&'static str>,
}

/// The provider; its socket is closed with it.
pub(super) struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Provider {
    /// One that publishes these keys.
    pub(super) fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let provider = Self { address, state: Arc::clone(&state) };
        provider.publish(keys);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                // The last one is its owner's, who says that it is over.
                if Arc::strong_count(&state) == 1 {
                    return;
                }
                serve(socket.unwrap(), &address, &state);
            }
        });
        provider
    }

    pub(super) fn issuer(&self) -> String {
        format!("http://{}/tenant", self.address)
    }

    /// A server that sends people here.
    pub(super) fn fixture(&self, mapping: RoleMapping) -> Fixture {
        Fixture::with_doors(Doors { oidc: Some(self.settings(mapping)), ..Doors::default() })
    }

    pub(super) fn settings(&self, mapping: RoleMapping) -> OidcSettings {
        OidcSettings {
            issuer: self.issuer(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(CLIENT_SECRET.to_owned()),
            scopes: "openid profile".to_owned(),
            redirect_url: REDIRECT.to_owned(),
            mapping,
            login_lifetime: Duration::from_secs(600),
        }
    }

    pub(super) fn publish(&self, keys: &[&Key]) {
        self.state.lock().unwrap().published = keys.iter().map(|key| key.public()).collect();
    }

    pub(super) fn break_with(&self, answer: &'static str) {
        self.state.lock().unwrap().broken = Some(answer);
    }

    /// How often its keys were read.
    pub(super) fn keys_read(&self) -> u32 {
        self.state.lock().unwrap().asked.get("/keys").copied().unwrap_or(0)
    }

    /// A code that is good for this token.
    pub(super) fn grant(&self, browser: &Browser, token: String) -> String {
        let mut state = self.state.lock().unwrap();
        let code = format!("code/{}", state.codes.len());
        state.codes.insert(code.clone(), (browser.asked["code_challenge"].clone(), token));
        code
    }

    /// What a good token of this sign-in says.
    pub(super) fn claims(&self, browser: &Browser) -> Value {
        let now = jsonwebtoken::get_current_timestamp();
        json!({
            "iss": self.issuer(), "aud": CLIENT, "sub": "subject-1", "nonce": browser.asked["nonce"],
            "iat": now, "exp": now + 300, "preferred_username": "ada@example.org",
        })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Its thread sees that nobody else holds the state any more.
        self.state = Arc::default();
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut socket: TcpStream, address: &SocketAddr, state: &Mutex<State>) {
    let (path, body) = read(&mut socket);
    let mut state = state.lock().unwrap();
    *state.asked.entry(path.clone()).or_default() += 1;
    let base = format!("http://{address}");
    let (status, answer) = match (path.as_str(), state.broken) {
        (_, Some(broken)) => (200, Value::String(broken.to_owned())),
        ("/tenant/.well-known/openid-configuration", _) => (
            200,
            json!({
                "issuer": format!("{base}/tenant"), "authorization_endpoint": format!("{base}/authorize?tenant=1"),
                "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/keys"),
            }),
        ),
        ("/keys", _) => {
            let strange = json!({"kty": "XYZ", "kid": 7});
            let keys = [&[strange], &state.published[..]].concat();
            (200, json!({ "keys": keys }))
        }
        ("/token", _) => redeem(&mut state, &body),
        _ => (404, Value::Null),
    };
    let answer = answer.to_string();
    let head =
        format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
    socket.write_all((head + &answer).as_bytes()).unwrap();
}

/// The token of a code, for who has the secrets. The password comes as HTTP Basic, as the standard has it.
fn redeem(state: &mut State, request: &str) -> (u16, Value) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    // kinora-test:hunter2+%26+more
    let known = head.to_ascii_lowercase().contains("authorization: basic")
        && head.contains("a2lub3JhLXRlc3Q6aHVudGVyMislMjYrbW9yZQ==");
    let form: HashMap<_, _> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let taken = state.codes.remove(&form["code"]);
    let good = taken
        .filter(|(asked, _)| *asked == challenge(&form["code_verifier"]) && form["redirect_uri"] == REDIRECT);
    match good.filter(|_| known && form["grant_type"] == "authorization_code") {
        Some((_, token)) => (200, json!({"access_token": "x", "token_type": "Bearer", "id_token": token})),
        None => (400, json!({"error": "invalid_grant"})),
    }
}

/// The path of a request, and all of it.
fn read(socket: &mut TcpStream) -> (String, String) {
    let (mut request, mut chunk) = (String::new(), [0; 4_096]);
    loop {
        let count = socket.read(&mut chunk).unwrap();
        request.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            if count == 0 {
                return (String::new(), request);
            }
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
        });
        if body.len() >= length.unwrap_or(0usize) || count == 0 {
            return (head.split(' ').nth(1).unwrap().to_owned(), request);
        }
    }
}

/// A browser on its way to the provider.
pub(super) struct Browser {
    cookie: String,
    /// Each has an address of its own, so that no allowance is used up.
    from: String,
    /// What the server asks the provider.
    pub(super) asked: HashMap<String, String>,
}

impl Browser {
    /// Begins a sign-in.
    pub(super) async fn begin(fixture: &Fixture, query: &str) -> Self {
        static BROWSERS: AtomicU32 = AtomicU32::new(0);
        let from = format!("x-forwarded-for: 198.51.100.{}", BROWSERS.fetch_add(1, Ordering::Relaxed) % 250);
        let path = format!("/api/v1/auth/oidc/login{query}");
        let reply = http(fixture.address, "GET", &path, &[&from], "").await;
        assert_eq!(reply.status, 302, "{}", reply.body);
        let (_, asked) = reply.header("location").unwrap().split_once('?').unwrap();
        let cookie = reply.header("set-cookie").unwrap();
        for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/api/v1/auth/oidc", "Max-Age=600"] {
            assert!(cookie.contains(part), "{part} in {cookie}");
        }
        Self {
            from,
            cookie: format!("cookie: other=1; {}", cookie.split(';').next().unwrap()),
            asked: form_urlencoded::parse(asked.as_bytes()).into_owned().collect(),
        }
    }

    /// Keeps what another tab keeps, too, as tabs of one browser do.
    pub(super) fn share(&mut self, other: &Self) {
        self.cookie += other.cookie.strip_prefix("cookie: other=1").unwrap();
    }

    /// Comes back with this code.
    pub(super) async fn come_back(&self, fixture: &Fixture, code: &str) -> Reply {
        self.come_back_with(
            fixture,
            &[("code", code), ("state", &self.asked["state"]), ("session_state", "x")],
        )
        .await
    }

    /// Comes back with this query.
    pub(super) async fn come_back_with(&self, fixture: &Fixture, query: &[(&str, &str)]) -> Reply {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let path = format!("/api/v1/auth/oidc/callback?{query}");
        http(fixture.address, "GET", &path, &[&self.cookie, &self.from], "").await
    }
}

/// Signs somebody in who is told so by these claims.
pub(super) async fn sign_in(provider: &Provider, fixture: &Fixture, key: &Key, more: Value) -> Reply {
    let browser = Browser::begin(fixture, "").await;
    let mut claims = provider.claims(&browser);
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let code = provider.grant(&browser, key.sign(&claims));
    browser.come_back(fixture, &code).await
}
