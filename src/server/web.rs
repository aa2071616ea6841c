//! Puts the HTTP application together: its ports on store, board and log, and its limits.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use kinora_actors::hub::{Hub, QueueBound};
use kinora_actors::ports::Clock;
use kinora_actors::status::StatusBoard;
use slog::{Logger, o};

use super::{StartError, away};
use crate::accounts::{MailError, Mailer, RoleMapping, Sealer};
use crate::adapters::{
    DatabaseHealth, Elsewhere, HttpLog, JournalHealth, LiveView, StoredAccounts, StoredHistory, ThreadsHealth,
};
use crate::config::{self, Settings, WebSocket};
use crate::http::ports::{MachineView, Ports, StreamControl};
use crate::http::{
    AccountRules, App, Metrics, Oidc, OidcSettings, Parts, Passwords, Signup, TokenKeys, TokenSettings,
    WsSettings,
};
use crate::journal::Journal;
use crate::store::Store;

/// How long a query of a request may take. The store gives up then, and undoes what it began.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// How much longer a request waits for the store's word.
const QUERY_GRACE: Duration = Duration::from_secs(1);
/// Bytes that may wait for a slow agent, for each event that may: two events of a person.
const QUEUE_BYTES_PER_EVENT: usize = 4_096;

/// What the application is made of.
pub(super) struct Web<'a> {
    pub(super) store: &'a Store,
    pub(super) board: &'a Arc<StatusBoard>,
    pub(super) hub: &'a Arc<Hub>,
    pub(super) journal: &'a Arc<Journal>,
    pub(super) clock: &'a Arc<dyn Clock>,
    /// What other servers run, if there are any.
    pub(super) elsewhere: Option<Arc<Elsewhere>>,
    /// What tokens are signed with.
    pub(super) key: &'a [u8],
    pub(super) passwords: Passwords,
    pub(super) metrics: Metrics,
    /// Steers streams.
    pub(super) control: Arc<dyn StreamControl>,
    /// Networks and devices.
    pub(super) machine: Arc<dyn MachineView>,
    /// Seals what operators say of sources.
    pub(super) sealer: Arc<Sealer>,
    pub(super) settings: &'a Settings,
    pub(super) log: &'a Logger,
}

impl Web<'_> {
    /// The application, not ready yet.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] when the key is no key or mail has no way.
    pub(super) fn build(self) -> Result<web::Data<App>, StartError> {
        let (ports, settings) = (self.ports(), self.settings);
        let lifetime = settings.auth.access_token_lifetime;
        let tokens = TokenSettings { lifetime, ..TokenSettings::default() };
        Ok(web::Data::new(App::new(Parts {
            ports,
            hub: Arc::clone(self.hub),
            clock: Arc::clone(self.clock),
            tokens: TokenKeys::new(self.key, tokens).map_err(away)?,
            passwords: self.passwords,
            metrics: self.metrics,
            ws: ws_settings(&settings.websocket),
            store: self.store.within(QUERY_TIMEOUT),
            sealer: self.sealer,
            accounts: account_rules(settings).map_err(away)?,
            allowed_origins: settings.http.allowed_origins.clone(),
            trusted_proxies: settings.http.trusted_proxies.clone(),
            rates: (settings.http.rate_limit, settings.http.rate_limit_heavy),
            body_timeout: settings.http.body_timeout,
            open_metrics: settings.http.open_metrics,
            query_timeout: QUERY_TIMEOUT + QUERY_GRACE,
        })))
    }

    fn ports(&self) -> Ports {
        let store = self.store.within(QUERY_TIMEOUT);
        Ports {
            history: Arc::new(StoredHistory(store.clone())),
            accounts: Arc::new(StoredAccounts(store.clone())),
            control: Arc::clone(&self.control),
            machine: Arc::clone(&self.machine),
            streams: Arc::new(LiveView {
                board: Arc::clone(self.board),
                store: store.clone(),
                elsewhere: self.elsewhere.clone(),
            }),
            checks: vec![
                Arc::new(DatabaseHealth(store)),
                Arc::new(ThreadsHealth(Arc::clone(self.board))),
                Arc::new(JournalHealth(Arc::clone(self.journal))),
            ],
            observer: Arc::new(HttpLog(self.log.new(o!("part" => "http")))),
        }
    }
}

fn account_rules(settings: &Settings) -> Result<AccountRules, MailError> {
    let data = settings.server.data_directory.clone();
    let mailer = match &settings.mail.relay {
        Some(relay) => Mailer::to_relay(&settings.mail.from, relay),
        None => Mailer::to_folder(&settings.mail.from, &data.join("mail")),
    };
    Ok(AccountRules {
        signup: match settings.auth.signup.as_str() {
            "open" => Signup::Open,
            "invite" => Signup::Invite,
            _ => Signup::Off,
        },
        refresh_lifetime: settings.auth.refresh_token_lifetime,
        mailer: Arc::new(mailer?),
        link: settings.mail.link.clone(),
        data,
        oidc: settings.auth.oidc.clone().map(oidc),
        development_login: settings.auth.development_login,
    })
}

fn oidc(provider: config::Oidc) -> Oidc {
    Oidc::new(OidcSettings {
        issuer: provider.issuer,
        client_id: provider.client_id,
        client_secret: provider.client_secret,
        scopes: provider.scopes,
        redirect_url: provider.redirect_url,
        mapping: RoleMapping {
            claim: provider.roles_claim,
            pairs: provider.role_mapping,
            default: provider.default_role,
        },
        login_lifetime: provider.login_lifetime,
    })
}

fn ws_settings(limits: &WebSocket) -> WsSettings {
    let bytes = limits.queue_events * QUEUE_BYTES_PER_EVENT;
    WsSettings {
        max_per_user: limits.max_per_user,
        max_total: limits.max_total,
        queue: QueueBound { events: limits.queue_events, bytes },
        ping_every: limits.ping_every,
        stall_limit: limits.stall_after,
        ..WsSettings::default()
    }
}
