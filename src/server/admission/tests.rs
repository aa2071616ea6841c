//! A server that is full, among others.

use std::sync::atomic::{AtomicU64, Ordering};

use kinora_actors::ports::{ModelOutput, NetworkId, PoseModel};
use slog::o;

use super::*;

struct NoModel;

impl PoseModel for NoModel {
    fn infer(&mut self, _: NetworkId, _: &[f32]) -> Result<ModelOutput, String> {
        Err("no request is made here".into())
    }
}

#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn monotonic_us(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn unix_us(&self) -> i64 {
        0
    }
}

/// A server of one lane whose one stream keeps it busy to 90 %, at 40 s.
fn full(settings: &Scale) -> (Arc<Admission>, Arc<Hand>, kinora_actors::lanes::LaneSeat) {
    let clock = Arc::new(Hand::default());
    let never = Box::new(|| unreachable!("no thread hangs here"));
    let lanes = Lanes::new(1, Arc::new(|| Box::new(NoModel)), clock.clone(), Duration::from_secs(60), never);
    let seat = lanes.pin_as("runs".into());
    let parts = AdmissionParts {
        lanes,
        board: Arc::default(),
        clock: clock.clone(),
        refused: IntCounter::new("refused", "refused").unwrap(),
        log: Logger::root(slog::Discard, o!()),
    };
    let admission = Admission::new(parts, settings);
    for second in 0..=40 {
        let stream = StreamLook {
            name: "runs".into(),
            session: "one".into(),
            analyzed: second * 60,
            demanded: second * 60,
            is_paced: true,
            p99_ms: 20.0,
        };
        let lane = LaneLook { busy_us: second * 900_000, streams: vec![stream] };
        admission.state().judge.see(second * 1_000_000, vec![lane]);
    }
    clock.0.store(40_000_000, Ordering::SeqCst);
    (admission, clock, seat)
}

fn settings() -> Scale {
    Scale {
        command: None,
        latency_budget: Duration::from_millis(150),
        admission: true,
        leave_free: Duration::from_secs(60),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_order_that_would_make_others_late_is_refused_unless_it_is_forced_or_nobody_guards() {
    let (admission, _, _seat) = full(&settings());
    let refusal = admission.order("more", None, false).unwrap_err();
    assert_eq!((refusal.reason, admission.parts.refused.get()), (Reason::Full, 1));
    assert!(in_words(&refusal).contains("180 %"), "{}", in_words(&refusal));
    assert!(admission.order("more", Some(Demand::Paced(1.0)), false).is_ok());
    assert!(admission.order("forced", None, true).is_ok());
    let (open, ..) = full(&Scale { admission: false, ..settings() });
    assert!(open.order("more", None, false).is_ok());
}

#[test]
fn a_full_server_leaves_free_streams_to_others_and_takes_them_when_nobody_does() {
    let (admission, clock, _seat) = full(&settings());
    admission.expect("slow", Demand::Paced(2.0));
    assert_eq!(
        admission.choose(&names(&["gate", "slow"])),
        ["slow"],
        "there is room for two frames a second"
    );
    clock.0.store(99_000_000, Ordering::SeqCst);
    assert!(admission.choose(&names(&["gate"])).is_empty());
    clock.0.store(100_000_000, Ordering::SeqCst);
    assert_eq!(admission.choose(&names(&["gate"])), ["gate"], "a minute is over");
}

#[test]
fn a_stream_that_another_server_took_in_between_is_left_for_a_whole_minute_again() {
    let (admission, clock, _seat) = full(&settings());
    assert!(admission.choose(&names(&["gate"])).is_empty());
    clock.0.store(90_000_000, Ordering::SeqCst);
    assert!(admission.choose(&[]).is_empty());
    clock.0.store(110_000_000, Ordering::SeqCst);
    assert!(admission.choose(&names(&["gate"])).is_empty());
}

#[test]
fn an_order_that_was_forced_upon_one_of_several_servers_is_taken_by_it() {
    let (admission, _, _seat) = full(&settings());
    admission.force_among_many("gate");
    assert_eq!(admission.choose(&names(&["gate", "yard"])), ["gate"]);
    admission.dismiss("gate");
    assert!(admission.choose(&names(&["gate"])).is_empty(), "it was stopped, and nobody forced it again");
}

#[test]
fn an_order_that_came_to_nothing_takes_no_room_and_takes_none_from_others() {
    let (admission, _, _seat) = full(&settings());
    let order = |name| admission.order(name, Some(Demand::Paced(5.0)), false);
    let first = order("first").unwrap();
    assert!(order("second").is_err(), "the first counts as coming");
    let again = order("first").unwrap();
    admission.withdraw("first", again.unwrap());
    assert!(order("second").is_err(), "the first of two orders stands");
    admission.withdraw("first", first.unwrap());
    assert!(order("second").is_ok());
}
