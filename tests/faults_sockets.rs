//! Sockets that are cut at random moments: with resume, nothing is missing, doubled or out of order.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::proxy::{Proxy, random};
use crate::server_support::{Agent, Server, gapless, looping, stored};
use crate::support::{root, text, wait_for};

/// Cuts of the short form, and of the one that `make soak` runs.
const CUTS: usize = 20;
const CUTS_SOAK: usize = 200;
/// A cut comes after so many bytes at most: in the handshake, in an event, or between two.
const BYTES: u64 = 9_000;

fn cut(cuts: usize, seed: u64) {
    let server = Server::start(&looping("dance"));
    let session = server.session("dance");
    let budgets = random(seed).take(cuts).map(|number| usize::try_from(1 + number % BYTES).unwrap());
    let proxy = Proxy::before(&server.address, budgets);
    let token = server.home.path("agents-token");
    std::fs::write(&token, server.token()).unwrap();
    let mut command = Command::new("/usr/bin/python3");
    command.arg(root().join("tests/tools/resuming_agent.py"));
    command.args([&format!("ws://{}/ws/analysis", proxy.address), &session, text(Path::new(&token))]);
    let mut agent = Agent::spawn(command, &server.home);
    wait_for("all cuts", Duration::from_secs(10 + cuts as u64), || (proxy.cuts() == cuts).then_some(()));
    agent.until_more(10);

    let received = agent.events();
    let (first, last) = gapless(&received);
    let rows = server.home.rows_to(&session, last);
    assert_eq!((first, received.len() as u64), (1, last), "each number once, from the first");
    stored(&received, &rows);
    println!("{cuts} cuts: {last} events received, each once and in order, equal to the rows");
    server.stop();
}

#[test]
fn an_agent_that_is_cut_at_random_moments_and_resumes_receives_each_row_once_in_order() {
    cut(CUTS, 0x5eed);
}

#[test]
#[ignore = "the long form, for `make soak`"]
fn soak_an_agent_that_is_cut_two_hundred_times_receives_each_row_once_in_order() {
    cut(CUTS_SOAK, 0x50a4);
}
