//! A TCP proxy that cuts connections after so many bytes, or falls silent, when a test says so. Standard library only.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A proxy on a free port. Its threads end with their connections, the last one with the process.
pub(crate) struct Proxy {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    /// Bytes from the target after which a connection is cut, one number a connection; then none is cut.
    budgets: Mutex<VecDeque<usize>>,
    cuts: AtomicUsize,
    mute: AtomicBool,
}

impl Proxy {
    /// A proxy before `target` that cuts the first connections after so many bytes each.
    pub(crate) fn before(target: &str, budgets: impl IntoIterator<Item = usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            budgets: Mutex::new(budgets.into_iter().collect()),
            cuts: AtomicUsize::new(0),
            mute: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.serve(&client));
            }
        });
        Self { address, shared }
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Acquire)
    }

    /// From now on connections stay open and nothing comes through them, in the middle of whatever it was; or new ones
    /// work again, and those that fell silent stay so.
    pub(crate) fn mute(&self, mute: bool) {
        self.shared.mute.store(mute, Ordering::Release);
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) {
        let budget = self.budgets.lock().unwrap().pop_front();
        if self.is_mute() {
            return hold(client);
        }
        let Ok(server) = TcpStream::connect(&self.target) else { return };
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || {
            // Whatever ends it ends the other direction too.
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Both);
        });
        self.answer(&server, client, budget);
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }

    /// Brings the target's answers to the client until the budget is spent or one of them is gone.
    fn answer(&self, mut server: &TcpStream, mut client: &TcpStream, budget: Option<usize>) {
        let mut left = budget.unwrap_or(usize::MAX);
        let mut buffer = [0; 4096];
        while left > 0 {
            let room = left.min(buffer.len());
            let Ok(count @ 1..) = server.read(&mut buffer[..room]) else { return };
            if self.is_mute() {
                // Half of it arrives: in the middle of a frame, as a rule.
                let _ = client.write_all(&buffer[..count / 2]);
                return hold(client);
            }
            if client.write_all(&buffer[..count]).is_err() {
                return;
            }
            left -= count;
        }
        self.cuts.fetch_add(1, Ordering::AcqRel);
    }

    fn is_mute(&self) -> bool {
        self.mute.load(Ordering::Acquire)
    }
}

/// Keeps a connection open without a word until its client closes it.
fn hold(client: &TcpStream) {
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut ignored = [0; 1024];
    let mut client = client;
    while matches!(client.read(&mut ignored), Ok(1..)) {}
}

/// Numbers that look random and are the same at each run (xorshift).
pub(crate) fn random(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed | 1), |&state| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 7);
        Some(state ^ (state << 17))
    })
    .skip(1)
}
