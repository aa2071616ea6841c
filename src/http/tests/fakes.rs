//! The rest of Kinora, played: accounts, streams, a database, a log, and a server with short deadlines.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web;
use kinora_actors::domain::{EncodedEvent, EventFacts, EventKind, SessionId, StreamState, Timestamp};
use kinora_actors::hub::{Hub, Published, QueueBound};
use kinora_actors::ports::Clock;
use prometheus::Registry;

use crate::accounts::{Identity, KeyScope, Mailer, Permissions, PrivateSource, Sealer};
use crate::adapters::StoredAccounts;
use crate::config::Network;
use crate::http::ports::*;
use crate::http::*;
use crate::store::testing::{store, store_that_is_away, text};
use crate::store::{NewUser, Store, UserChange};

pub(crate) const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A source with a password.
pub(crate) const SOURCE: &str = "rtsp://viewer:hunter2@camera/1";
/// Costly requests of one caller a minute.
pub(crate) const HEAVY_LIMIT: u32 = 20;

/// An event in the database: session, number, kind and JSON.
pub(crate) type Row = (SessionId, u64, EventKind, Vec<u8>);

/// Everything that a test turns.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) rows: Mutex<Vec<Row>>,
    pub(crate) database_away: AtomicBool,
    pub(crate) revoked: AtomicBool,
    pub(crate) sessions: Mutex<HashMap<String, (u64, bool)>>,
    /// The streams that the last caller sees who asked for sessions.
    pub(crate) seen: Mutex<StreamsSeen>,
    /// The streams that were told to be made as they are stored, in order.
    pub(crate) changed: Mutex<Vec<String>>,
    /// No stream has room unless it is forced.
    pub(crate) is_full: AtomicBool,
    /// What happens once while a source is looked at.
    pub(crate) meanwhile: Mutex<Option<Answer<'static, ()>>>,
    /// Streams that were admitted and did not begin.
    pub(crate) withdrawn: Arc<Mutex<Vec<String>>>,
    pub(crate) left: Mutex<Vec<(&'static str, bool)>>,
}

fn answer<'a, T: Send + 'a>(value: Result<T, Unavailable>) -> Answer<'a, T> {
    Box::pin(async move { value })
}

impl World {
    fn up<T>(&self, value: T) -> Result<T, Unavailable> {
        if self.database_away.load(Ordering::SeqCst) {
            return Err(Unavailable("relation \"secret\" does not exist at /var/lib".to_owned()));
        }
        Ok(value)
    }

    /// Stores events as the database would.
    pub(crate) fn store(&self, name: &str, seqs: impl IntoIterator<Item = u64>) {
        let mut rows = self.rows.lock().unwrap();
        for seq in seqs {
            let event = encoded(name, seq, kind_of(seq), 0);
            rows.push((session(name), seq, kind_of(seq), event.json.to_vec()));
        }
    }
}

impl EventHistory for World {
    fn events_after(&self, page: HistoryPage) -> Answer<'_, Vec<Published>> {
        let rows = self.rows.lock().unwrap();
        let wanted = |kind: &EventKind| page.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind));
        let found = rows
            .iter()
            .filter(|(id, seq, kind, _)| *id == page.session && *seq > page.after && wanted(kind))
            .take(page.limit)
            .map(|(id, seq, kind, json)| {
                let facts = EventFacts::default();
                let event = EncodedEvent { seq: *seq, kind: *kind, json: json.as_slice().into(), facts };
                Published::new(id.clone(), "cam".into(), &event)
            });
        answer(self.up(found.collect()))
    }

    fn extent<'a>(&'a self, session: &'a SessionId) -> Answer<'a, Option<Extent>> {
        let rows = self.rows.lock().unwrap();
        let mut seqs = rows.iter().filter(|row| row.0 == *session).map(|row| row.1);
        let oldest = seqs.next();
        let last = seqs.next_back().or(oldest);
        answer(self.up(oldest.zip(last).map(|(oldest, last)| Extent { oldest, last })))
    }
}

impl Accounts for World {
    fn find<'a>(&'a self, login: &'a str) -> Answer<'a, Option<Account>> {
        let known = matches!(login, "alice" | "bob" | "gone" | "nobody-role");
        answer(self.up(known.then(|| account(login))))
    }

    fn known<'a>(&'a self, who: &'a Who) -> Answer<'a, Option<Known>> {
        let Who::User { user, .. } = who else { return answer(self.up(None)) };
        let roles = match user.0 {
            1 | ALICE => vec!["admin".to_owned()],
            NOBODY => vec![],
            _ => vec!["agent".to_owned()],
        };
        let identity = Identity { disabled: self.revoked.load(Ordering::SeqCst), ..nobody(user.0) };
        let known = (identity.with_roles(roles, &[]), KeyScope::default());
        answer(self.up(Some(known)))
    }
}

/// A user without roles.
pub(crate) fn nobody(user: i64) -> Identity {
    Identity {
        user,
        username: "somebody".to_owned(),
        roles: Vec::new(),
        permissions: Permissions::default(),
        hidden: Vec::new(),
        disabled: false,
        password_version: 0,
    }
}

/// The numbers of users are the first letters of their names.
const ALICE: i64 = b'a' as i64;
const NOBODY: i64 = b'n' as i64;

/// An account with the one password.
pub(crate) fn account(name: &str) -> Account {
    let hash = Passwords::with_cost(4).unwrap().hash_blocking(PASSWORD).unwrap();
    let id = UserId(i64::from(name.as_bytes()[0]));
    Account { id, password_hash: hash, disabled: name == "gone" }
}

impl StreamsView for World {
    fn streams(&self) -> Vec<StreamStatus> {
        vec![StreamStatus {
            name: "cam".to_owned(),
            address: "rtsp://camera/stream".to_owned(),
            state: StreamState::Running,
            reason: "first_frame".to_owned(),
            message: "frames arrive".to_owned(),
            since: Timestamp(0),
            next_try_at: None,
            session_id: Some(session("s")),
            decoder: Some("cpu: no GPU decodes this codec".to_owned()),
            frames: None,
            latency_ms: None,
        }]
    }

    fn sessions(&self, seen: StreamsSeen) -> Answer<'_, Vec<SessionStatus>> {
        *self.seen.lock().unwrap() = seen;
        let sessions = self.sessions.lock().unwrap();
        let mut list: Vec<_> = sessions.iter().map(|(name, facts)| status(name, *facts)).collect();
        list.sort_by(|a, b| a.id.cmp(&b.id));
        answer(self.up(list))
    }

    fn session<'a>(&'a self, id: &'a SessionId) -> Answer<'a, Option<SessionStatus>> {
        let facts = self.sessions.lock().unwrap().get(&*id.0).copied();
        answer(self.up(facts.map(|facts| status(&id.0, facts))))
    }

    fn is_elsewhere(&self, id: &SessionId) -> bool {
        *id.0 == *"elsewhere"
    }
}

fn status(name: &str, (last_seq, over): (u64, bool)) -> SessionStatus {
    SessionStatus {
        id: session(name),
        stream: "cam".to_owned(),
        started_at: Timestamp(0),
        ended_at: over.then_some(Timestamp(1)),
        end_reason: None,
        last_seq,
        frames: None,
        latency_ms: None,
    }
}

impl StreamControl for World {
    fn check<'a>(&'a self, source: &'a str) -> Answer<'a, Result<String, SourceRefusal>> {
        let shown =
            source.split_once('@').map_or(source.to_owned(), |(_, host)| format!("rtsp://***@{host}"));
        let refusal = SourceRefusal { code: "source_forbidden", detail: "Not this one." };
        let meanwhile = self.meanwhile.lock().unwrap().take();
        Box::pin(async move {
            if let Some(meanwhile) = meanwhile {
                meanwhile.await?;
            }
            Ok(if source.starts_with("rtsp:") { Ok(shown) } else { Err(refusal) })
        })
    }

    fn test<'a>(
        &'a self,
        source: &'a PrivateSource,
        _: SourceAuth,
    ) -> Answer<'a, Result<SourceFacts, SourceRefusal>> {
        let source = &source.address;
        let facts = SourceFacts {
            source: source.clone(),
            codec: "h264".to_owned(),
            width: 1920,
            height: 1080,
            frame_rate: Some(60.0),
            live: true,
        };
        let refusal = SourceRefusal { code: "source_unreachable", detail: "It is not there." };
        answer(Ok(if source.starts_with("rtsp:") { Ok(facts) } else { Err(refusal) }))
    }

    fn admit(&self, Beginning { stream, force, .. }: Beginning<'_>) -> Result<TakeBack, Overload> {
        if self.is_full.load(Ordering::SeqCst) && !force {
            let estimate = Estimate { load_percent: 130, p99_ms: None, budget_ms: 150 };
            return Err(Overload { detail: "It is full.", estimate });
        }
        let (withdrawn, stream) = (Arc::clone(&self.withdrawn), stream.to_owned());
        Ok(Box::new(move || withdrawn.lock().unwrap().push(stream)))
    }

    fn changed<'a>(&'a self, stream: &'a str) -> Answer<'a, ()> {
        self.changed.lock().unwrap().push(stream.to_owned());
        answer(Ok(()))
    }
}

impl MachineView for World {
    fn models(&self) -> Vec<ModelStatus> {
        Vec::new()
    }

    fn devices(&self) -> Vec<DeviceStatus> {
        Vec::new()
    }
}

impl HealthCheck for World {
    fn name(&self) -> &'static str {
        "database"
    }

    fn needed_for_ready(&self) -> bool {
        true
    }

    fn check(&self) -> Answer<'_, ()> {
        answer(self.up(()))
    }
}

impl Observer for World {
    fn notice(&self, event: HttpEvent<'_>) {
        if let HttpEvent::SubscriberLeft { reason, cut, .. } = event {
            self.left.lock().unwrap().push((reason, cut));
        }
    }
}

struct HostClock;

impl Clock for HostClock {
    fn monotonic_us(&self) -> u64 {
        0
    }

    fn unix_us(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        i64::try_from(now.unwrap().as_micros()).unwrap()
    }
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId(name.into())
}

/// Every fifth event of a test session is a change of state.
pub(crate) fn kind_of(seq: u64) -> EventKind {
    if seq.is_multiple_of(5) { EventKind::StreamState } else { EventKind::FrameAnalyzed }
}

/// An event, as large as wanted.
pub(crate) fn encoded(name: &str, seq: u64, kind: EventKind, padding: usize) -> EncodedEvent {
    let json = format!(
        r#"{{"sessionId":"{name}","timestamp":"2026-11-22T05:11:05.123456Z","event":"{}","payload":{{"seq":{seq},"prevSeq":{},"stream":"cam","padding":"{}"}}}}"#,
        kind.name(),
        seq - 1,
        "x".repeat(padding)
    );
    EncodedEvent { seq, kind, json: json.into_bytes().into(), facts: EventFacts::default() }
}

pub(crate) fn publish(hub: &Hub, name: &str, seqs: impl IntoIterator<Item = u64>) {
    seqs.into_iter().for_each(|seq| publish_one(hub, name, seq, kind_of(seq), 0));
}

pub(crate) fn publish_one(hub: &Hub, name: &str, seq: u64, kind: EventKind, padding: usize) {
    let event = encoded(name, seq, kind, padding);
    hub.publish(&Arc::new(Published::new(session(name), "cam".into(), &event)));
}

/// Ways into a server.
pub(crate) struct Doors {
    pub(crate) signup: Signup,
    pub(crate) oidc: Option<OidcSettings>,
    pub(crate) development_login: bool,
    pub(crate) closed_metrics: bool,
}

impl Default for Doors {
    fn default() -> Self {
        Self { signup: Signup::Off, oidc: None, development_login: false, closed_metrics: false }
    }
}

/// The first event of a session of another stream than the usual one; both have the stream's name.
pub(crate) fn publish_of(hub: &Hub, stream: &str) {
    let event = encoded(stream, 1, kind_of(1), 0);
    hub.publish(&Arc::new(Published::new(session(stream), stream.into(), &event)));
}

/// A running server.
pub(crate) struct Fixture {
    pub(crate) world: Arc<World>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) app: web::Data<App>,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) stopper: Stopper,
    pub(crate) folder: tempfile::TempDir,
}

/// Short deadlines.
pub(crate) fn quick() -> WsSettings {
    WsSettings {
        ping_every: Duration::from_secs(20),
        close_grace: Duration::from_millis(200),
        history_patience: Duration::from_millis(300),
        history_retry: Duration::from_millis(5),
        history_page: 7,
        ..WsSettings::default()
    }
}

/// Opening a store blocks, which a thread of a runtime must not.
fn on_a_thread(open: fn() -> Store) -> Store {
    std::thread::spawn(open).join().unwrap()
}

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with(quick(), Duration::from_secs(900), Hub::new())
    }

    /// A hub that remembers ten events.
    pub(crate) fn forgetful() -> Self {
        let memory = QueueBound { events: 10, bytes: 1 << 20 };
        Self::with(quick(), Duration::from_secs(900), Hub::with_memory(memory))
    }

    pub(crate) fn with(ws: WsSettings, lifetime: Duration, hub: Arc<Hub>) -> Self {
        let world = Arc::new(World::default());
        let accounts = world.clone();
        Self::of(world, accounts, on_a_thread(store_that_is_away), ws, lifetime, hub, Doors::default())
    }

    /// With accounts in a database of its own.
    pub(crate) fn with_database() -> Self {
        Self::with_signup(Signup::Off)
    }

    /// The same, where accounts can be made.
    pub(crate) fn with_signup(signup: Signup) -> Self {
        Self::with_doors(Doors { signup, ..Doors::default() })
    }

    /// The same with other ways in.
    pub(crate) fn with_doors(doors: Doors) -> Self {
        let store = on_a_thread(store);
        let ws = WsSettings { check_every: Duration::from_millis(200), ..quick() };
        let accounts = Arc::new(StoredAccounts(store.clone()));
        Self::of(Arc::default(), accounts, store, ws, Duration::from_secs(900), Hub::new(), doors)
    }

    fn of(
        world: Arc<World>,
        accounts: Arc<dyn Accounts>,
        store: Store,
        ws: WsSettings,
        lifetime: Duration,
        hub: Arc<Hub>,
        doors: Doors,
    ) -> Self {
        let ports = Ports {
            history: world.clone(),
            accounts,
            streams: world.clone(),
            control: world.clone(),
            machine: world.clone(),
            checks: vec![world.clone()],
            observer: world.clone(),
        };
        let folder = tempfile::tempdir().unwrap();
        let settings = TokenSettings { lifetime, ..TokenSettings::default() };
        let app = web::Data::new(App::new(Parts {
            ports,
            hub: Arc::clone(&hub),
            clock: Arc::new(HostClock),
            tokens: TokenKeys::new(KEY, settings).unwrap(),
            passwords: Passwords::with_cost(4).unwrap(),
            metrics: Metrics::new(Registry::new()).unwrap(),
            ws,
            store,
            sealer: Arc::new(Sealer::new(&[7; 32])),
            accounts: AccountRules {
                signup: doors.signup,
                refresh_lifetime: Duration::from_secs(3_600),
                mailer: Arc::new(Mailer::to_folder("kinora@localhost", &folder.path().join("mail")).unwrap()),
                link: "http://kinora.example".to_owned(),
                data: folder.path().to_owned(),
                oidc: doors.oidc.map(Oidc::new),
                development_login: doors.development_login,
            },
            allowed_origins: vec!["https://console.example".to_owned()],
            trusted_proxies: vec![Network::parse("127.0.0.1").unwrap()],
            rates: (NonZero::new(10_000).unwrap(), NonZero::new(HEAVY_LIMIT).unwrap()),
            body_timeout: Duration::from_millis(300),
            open_metrics: !doors.closed_metrics,
            query_timeout: Duration::from_secs(2),
        }));
        app.set_ready(true);
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(&ServerSettings::on(listen, 1), app.clone()).unwrap();
        let (address, stopper) = (server.address(), server.stopper());
        actix_web::rt::spawn(server.run());
        Self { world, hub, app, address, stopper, folder }
    }

    pub(crate) fn token(&self, name: &str) -> String {
        let roles = if name == "alice" { "admin" } else { "agent" };
        let identity = nobody(i64::from(name.as_bytes()[0])).with_roles(vec![roles.to_owned()], &[]);
        self.app.tokens.issue(&identity, None).unwrap()
    }

    /// Makes an account in the database; everybody has the one password.
    pub(crate) async fn user(&self, name: &str, roles: &[&str]) {
        let user = NewUser {
            username: name.to_owned(),
            email: Some(format!("{name}@example.org")),
            password_hash: self.app.passwords.hash_blocking(PASSWORD).unwrap(),
            roles: roles.iter().map(ToString::to_string).collect(),
        };
        self.app.store.create_user(user, None).await.unwrap();
    }

    /// Closes an account in the database.
    pub(crate) async fn disable(&self, name: &str) {
        let change = UserChange { disabled: Some(true), ..UserChange::default() };
        self.app.store.change_user(name, change, None).await.unwrap();
    }

    /// Runs statements in the database.
    pub(crate) fn sql(&self, statements: &str) {
        let (store, statements) = (self.app.store.clone(), statements.to_owned());
        std::thread::spawn(move || text(&store, &statements)).join().unwrap();
    }

    /// A token of an account in the database.
    pub(crate) async fn token_of(&self, name: &str) -> String {
        let account = self.app.ports.accounts.find(name).await.unwrap().unwrap();
        let identity = self.app.store.identity(account.id.0, None).await.unwrap().unwrap();
        self.app.tokens.issue(&identity, None).unwrap()
    }
}
