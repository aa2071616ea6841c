//! A session with a camera: from its address to access units. Blocking, for a thread of its own.

mod keep_alive;
mod open;
mod setup;

use std::time::{Duration, Instant, SystemTime};

use crate::Options;
use crate::address::Address;
use crate::cancel::CancelToken;
use crate::connection::{Connection, Event};
use crate::describe::Description;
use crate::error::Error;
use crate::message::{Request, Response};
use crate::receiver::{AccessUnit, Counts, Receiver};
use crate::sdp::{Codec, Track};
use crate::text::printable;
use keep_alive::{KeepAlive, SessionId};
use open::{Opened, check};
use setup::{Channels, set_up};

/// TEARDOWN is a courtesy, too.
const TEARDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// What there is at `address`, without playing it.
///
/// # Errors
/// Of every kind; the message begins with the address.
pub fn describe(address: &Address, options: &Options, cancel: &CancelToken) -> Result<Description, Error> {
    open::open(address, options, cancel).map(|opened| description(&opened))
}

fn description(opened: &Opened) -> Description {
    Description {
        address: opened.address.to_string(),
        server: opened.server.as_deref().map(printable),
        methods: opened.public.as_deref().map(printable),
        authentication: opened.connection.offered().to_vec(),
        tracks: opened.presentation.tracks.clone(),
        chosen: setup::choose(&opened.presentation.tracks),
        round_trip: opened.connection.round_trip(),
    }
}

/// A camera that plays. Dropping it ends the session.
pub struct Client {
    connection: Connection,
    address: Address,
    description: Description,
    track: Track,
    codec: Codec,
    channels: Channels,
    /// What PLAY and TEARDOWN name.
    aggregate: String,
    session: SessionId,
    keep_alive: KeepAlive,
    receiver: Receiver,
    silence_timeout: Duration,
    is_over: bool,
    /// The server ended the session: there is none to tear down.
    is_dismissed: bool,
}

impl Client {
    /// Connects, chooses the video track and plays it. Blocks until then, an error, or `cancel`, which ends every later
    /// wait too.
    ///
    /// # Errors
    /// Of every kind; the message begins with the address.
    pub fn open(address: &Address, options: &Options, cancel: &CancelToken) -> Result<Self, Error> {
        let opened = open::open(address, options, cancel)?;
        let place = opened.address.clone();
        Self::play(opened, options).map_err(|error| error.at(place))
    }

    fn play(mut opened: Opened, options: &Options) -> Result<Self, Error> {
        let description = description(&opened);
        let ready = set_up(&mut opened, options)?;
        let mut receiver = Receiver::new(ready.codec, &ready.track, Instant::now(), unix_us());
        let play =
            with_session(Request::new("PLAY", &*ready.aggregate), &ready.session).with("Range", "npt=0.000-");
        let response = opened.connection.request(&play, options.request_timeout)?;
        check(&response, "PLAY")?;
        if let Some(round_trip) = opened.connection.round_trip() {
            receiver.clock().set_round_trip(i64::try_from(round_trip.as_micros()).unwrap_or(i64::MAX));
        }
        let keep_alive = KeepAlive::new(ready.session.timeout, opened.public.as_deref(), Instant::now());
        Ok(Self {
            connection: opened.connection,
            address: opened.address,
            description,
            track: ready.track,
            codec: ready.codec,
            channels: ready.channels,
            aggregate: ready.aggregate,
            session: ready.session,
            keep_alive,
            receiver,
            silence_timeout: options.silence_timeout,
            is_over: false,
            is_dismissed: false,
        })
    }

    /// What the server has.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The track that is played.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// What it is encoded with.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What has arrived so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.receiver.counts()
    }

    /// Blocks until the next unit; none when the source ended by itself.
    ///
    /// # Errors
    /// `Unavailable` when the server hangs up or sends nothing of use for too long, `Cancelled`, `Protocol`. Final.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that goes on after an error would be misread"
    )]
    pub fn next(&mut self) -> Result<Option<AccessUnit>, Error> {
        // Only a unit renews it: reports, packets of another format or parameters alone can come for ever.
        let deadline = Instant::now() + self.silence_timeout;
        let mut is_talking = false;
        loop {
            if let Some(unit) = self.receiver.pop() {
                return Ok(Some(unit));
            }
            if self.is_over {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                return Err(self.silent(is_talking));
            }
            self.say_that_we_are_here()?;
            let event = self.connection.next(deadline.min(self.keep_alive.next()));
            match event.map_err(|error| error.at(&self.address))? {
                Some(Event::Packet(packet)) if self.channels.contains(packet.channel) => {
                    is_talking = true;
                    self.receiver.observe_host(Instant::now(), unix_us());
                    self.receiver.take(&packet);
                    self.is_over = self.receiver.is_over();
                }
                Some(Event::Packet(_)) | None => {}
                Some(Event::Response(response)) => self.answered(&response)?,
                Some(Event::Farewell) => {
                    self.receiver.finish();
                    (self.is_over, self.is_dismissed) = (true, true);
                }
            }
        }
    }

    fn say_that_we_are_here(&mut self) -> Result<(), Error> {
        let Some(method) = self.keep_alive.due(Instant::now()) else { return Ok(()) };
        let request = with_session(Request::new(method, &*self.aggregate), &self.session);
        self.connection.send(&request).map_err(|error| error.at(&self.address))?;
        Ok(())
    }

    /// The server's word on a sign of life. Silence is no fault: some servers answer none.
    fn answered(&mut self, response: &Response) -> Result<(), Error> {
        match response.status {
            200..=299 => {
                self.connection.accepted();
                self.keep_alive.accepted();
            }
            401 => {
                self.connection.challenged(response).map_err(|error| error.at(&self.address))?;
                self.keep_alive.again(Instant::now());
            }
            454 => {
                return Err(Error::unavailable(format!(
                    "{}: the server has ended the session",
                    self.address
                )));
            }
            _ => self.keep_alive.refused(),
        }
        Ok(())
    }

    fn silent(&self, is_talking: bool) -> Error {
        let (seconds, track) = (self.silence_timeout.as_secs_f32(), &self.track.encoding);
        let what = if is_talking { "packets came, but nothing whole" } else { "no packet" };
        Error::unavailable(format!(
            "{}: {what} of its {track} track came for {seconds} s; is the camera's picture on?",
            self.address
        ))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.is_dismissed {
            let farewell = with_session(Request::new("TEARDOWN", &*self.aggregate), &self.session);
            // Whatever comes of it, the connection closes now.
            let _ = self.connection.request(&farewell, TEARDOWN_TIMEOUT);
        }
    }
}

fn with_session(request: Request, session: &SessionId) -> Request {
    if session.id.is_empty() { request } else { request.with("Session", &*session.id) }
}

fn unix_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
