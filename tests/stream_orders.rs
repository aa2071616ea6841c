//! Orders that come at the same time: a stream ends up as the table says, which is what came last.

use serde_json::Value;

use crate::server_support::{Server, looping};

/// Orders of each of the operators.
const ORDERS: usize = 6;

fn order(server: &Server, order: &str) {
    let (status, answer) = server.post(&format!("/api/v1/streams/dance/{order}"), &Value::Null);
    assert_eq!(status, 202, "{answer}");
}

#[test]
fn of_orders_that_come_at_once_the_one_that_was_stored_last_counts() {
    let server = Server::start(&looping("dance"));
    let first = server.session("dance");
    for last in ["start", "stop"] {
        std::thread::scope(|scope| {
            for operator in 0..4 {
                let server = &server;
                scope.spawn(move || {
                    let orders = ["stop", "start", "restart"].into_iter().cycle().skip(operator);
                    orders.take(ORDERS).for_each(|one| order(server, one));
                });
            }
        });
        let stored = server.home.try_query("select desired_state from streams where name = 'dance'").unwrap();
        server.until_state("dance", if stored[0] == "running" { "running" } else { "stopped" });
        order(&server, last);
        server.until_state("dance", if last == "start" { "running" } else { "stopped" });
    }
    order(&server, "start");
    server.until_state("dance", "running");
    assert_ne!(server.session("dance"), first);
    server.stop();
}
