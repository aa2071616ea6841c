//! The agent: connect, list, catch up, print; and again, until it is stopped.

use std::io::Write;
use std::time::Duration;

use super::backoff::Backoff;
use super::http::{self, Failure, ListedSession};
use super::ledger::{Heading, Ledger, Verdict};
use super::link::{self, Ended, Item, Origin};
use super::links::Links;
use super::target::Target;
use super::{Credentials, Notice, Timing, WatchError, WatchOptions};

/// Where events go.
type Output<'a> = &'a mut (dyn Write + Send);
/// Who hears notices.
type Listener<'a> = &'a mut (dyn FnMut(Notice) + Send);

/// Watches until `stop` resolves, or the one session that is watched is over, or the server refuses for good.
///
/// # Errors
/// What cannot be helped by trying again.
pub(crate) async fn watch(
    options: WatchOptions,
    out: Output<'_>,
    notice: Listener<'_>,
    stop: impl Future<Output = ()>,
) -> Result<(), WatchError> {
    let target = Target::parse(&options.url)?;
    let WatchOptions { credentials, timing, .. } = options;
    let backoff = Backoff::new(timing.backoff_unit);
    let ledger = Ledger::default();
    let mut agent =
        Agent { target, credentials, timing, backoff, ledger, token: None, began: false, out, notice };
    let ended = tokio::select! {
        () = stop => Ok(()),
        ended = agent.run() => ended,
    };
    agent.out.flush()?;
    ended
}

/// The agent.
struct Agent<'a> {
    target: Target,
    credentials: Credentials,
    timing: Timing,
    backoff: Backoff,
    ledger: Ledger,
    token: Option<String>,
    /// Whether the sessions that ran at the start are in the ledger.
    began: bool,
    out: Output<'a>,
    notice: Listener<'a>,
}

/// How a stretch of being connected ended.
enum Stretch {
    /// The one session is over.
    Over,
    /// The connection is lost.
    Lost(String),
}

impl Agent<'_> {
    async fn run(&mut self) -> Result<(), WatchError> {
        loop {
            let reason = match self.run_once().await {
                Ok(Stretch::Over) => return Ok(()),
                Ok(Stretch::Lost(reason)) | Err(Failure::Passing(reason)) => reason,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Unauthorized(message)) => self.renew_token(message)?,
            };
            let retry_in = self.backoff.fail();
            (self.notice)(Notice::Lost { reason, retry_in });
            tokio::time::sleep(retry_in).await;
        }
    }

    /// One stretch. Sessions are listed before the live connection is made, so that nothing happens between.
    async fn run_once(&mut self) -> Result<Stretch, Failure> {
        let token = self.token().await?;
        let listed = http::sessions(&self.target.authority, &token, self.timing.request).await?;
        let live = link::connect(&self.target.live(), &token, self.timing.request).await?;
        (self.notice)(Notice::Connected);
        let mut links = Links::new(self.target.clone(), token, self.timing.clone());
        links.begin_live(live);
        self.resume_listed(&listed, &mut links);
        loop {
            match links.next().await {
                (Origin::Live, Item::Event(text)) => self.take_live(&text, &mut links)?,
                (Origin::Live, Item::Ended(ended)) => return Ok(Stretch::Lost(self.lost(ended))),
                (Origin::Resumed(_), Item::Event(text)) => self.take_resumed(&text, &mut links)?,
                (Origin::Resumed(session), Item::Ended(ended)) => {
                    self.resumed_ended(&session, ended, &mut links);
                }
            }
            if self.target.sole_session().is_some_and(|session| self.ledger.is_over(session)) {
                return Ok(Stretch::Over);
            }
            if links.is_idle() {
                self.out.flush().map_err(output)?;
            }
        }
    }

    async fn token(&mut self) -> Result<String, Failure> {
        match (&self.token, &self.credentials) {
            (Some(token), _) | (None, Credentials::Token(token)) => Ok(token.clone()),
            (None, Credentials::Password { username, password }) => {
                let granted =
                    http::login(&self.target.authority, username, password, self.timing.request).await;
                let token = granted.map_err(|failure| match failure {
                    Failure::Unauthorized(message) => refused(message),
                    other => other,
                })?;
                self.token = Some(token.clone());
                Ok(token)
            }
        }
    }

    /// A refused token is replaced, if there is a password to get another one with.
    fn renew_token(&mut self, message: String) -> Result<String, WatchError> {
        if self.token.take().is_some() {
            return Ok(message);
        }
        Err(WatchError::Refused { status: 401, message })
    }

    /// At the start sessions begin where they are; later, what happened in between is fetched.
    fn resume_listed(&mut self, listed: &[ListedSession], links: &mut Links) {
        if !self.began
            && let (Some(session), Some(after)) = (self.target.sole_session(), self.target.after)
        {
            self.ledger.begin(session, after);
            links.resume(session, after, Duration::ZERO);
        }
        for session in listed {
            if !self.target.wants(&session.id, &session.stream) {
                continue;
            }
            if !self.began {
                self.ledger.begin(&session.id, session.last_seq);
            }
            if let Some(after) = self.ledger.missing(&session.id, session.last_seq) {
                self.fetch(&session.id, after, links);
            }
        }
        self.began = true;
    }

    fn take_live(&mut self, text: &str, links: &mut Links) -> Result<(), Failure> {
        self.backoff.reset();
        let Some(event) = read(text) else { return Ok(()) };
        match self.ledger.judge_live(&event) {
            // The live connection is enough again.
            Verdict::Print => {
                links.end(&event.session_id);
                self.print(text)?;
            }
            Verdict::Leave => {}
            Verdict::FetchAfter(after) => self.fetch(&event.session_id, after, links),
        }
        Ok(())
    }

    fn take_resumed(&mut self, text: &str, links: &mut Links) -> Result<(), Failure> {
        let Some(event) = read(text) else { return Ok(()) };
        match self.ledger.judge_resumed(&event) {
            Verdict::Print => self.print(text)?,
            Verdict::Leave => {}
            Verdict::FetchAfter(after) => {
                links.end(&event.session_id);
                self.fetch(&event.session_id, after, links);
            }
        }
        Ok(())
    }

    fn fetch(&mut self, session: &str, after: u64, links: &mut Links) {
        if links.resume(session, after, Duration::ZERO) {
            (self.notice)(Notice::CatchingUp { session: session.to_owned(), after });
        }
    }

    fn resumed_ended(&mut self, session: &str, ended: Ended, links: &mut Links) {
        links.end(session);
        match ended {
            // Over, or nothing is missing for now; a hole that shows later is fetched then.
            Ended::Quiet | Ended::Closed(Some(1000), _) => {}
            Ended::Refused(Failure::Final(_)) => {
                self.ledger.forget(session);
                (self.notice)(Notice::Forgotten { session: session.to_owned() });
            }
            _ => {
                links.resume(session, self.ledger.last(session), self.timing.backoff_unit);
            }
        }
    }

    /// The reason in words; a token that the server no longer takes is not tried again.
    fn lost(&mut self, ended: Ended) -> String {
        match ended {
            Ended::Closed(code, word) => {
                if code == Some(4401) {
                    self.token = None;
                }
                format!("closed by the server: {word}")
            }
            Ended::Broken(reason) => reason,
            Ended::Quiet => "the server is silent".to_owned(),
            Ended::Refused(failure) => format!("{failure:?}"),
        }
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.write_all(b"\n")).map_err(output)
    }
}

/// What is not an event is left out: a later server may say more than this agent knows.
fn read(text: &str) -> Option<Heading> {
    serde_json::from_str(text).ok()
}

fn refused(message: String) -> Failure {
    Failure::Final(WatchError::Refused { status: 401, message })
}

fn output(error: std::io::Error) -> Failure {
    Failure::Final(WatchError::Output(error))
}
