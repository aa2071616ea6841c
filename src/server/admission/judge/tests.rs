//! Lanes whose streams run at given rates and costs.

use super::*;

const BUDGET_MS: f64 = 150.0;

/// A stream of a lane, and what it does in each second.
#[derive(Clone)]
struct Plays {
    name: &'static str,
    fps: u64,
    is_paced: bool,
    p99_ms: f64,
}

fn live(name: &'static str, fps: u64, p99_ms: f64) -> Plays {
    Plays { name, fps, is_paced: true, p99_ms }
}

/// Lanes on which a frame costs so many milliseconds, looked at for so many seconds.
fn judge_of(lanes: &[Vec<Plays>], cost_ms: u64, seconds: u64) -> Judge {
    let mut judge = Judge::new(BUDGET_MS);
    for second in 0..=seconds {
        let look = |streams: &Vec<Plays>| LaneLook {
            busy_us: streams.iter().map(|stream| stream.fps * second * cost_ms * 1_000).sum(),
            streams: streams.iter().map(|stream| seen(stream, second)).collect(),
        };
        judge.see(second * 1_000_000, lanes.iter().map(look).collect());
    }
    judge
}

fn seen(stream: &Plays, second: u64) -> StreamLook {
    StreamLook {
        name: stream.name.into(),
        session: "one".into(),
        analyzed: stream.fps * second,
        demanded: stream.fps * second,
        is_paced: stream.is_paced,
        p99_ms: stream.p99_ms,
    }
}

fn seats(lanes: &[Vec<Plays>]) -> Vec<Vec<Arc<str>>> {
    lanes.iter().map(|lane| lane.iter().map(|stream| stream.name.into()).collect()).collect()
}

/// The answer to one more stream at 40 s.
fn ask(judge: &mut Judge, name: &str, fps: f64, lanes: &[Vec<Plays>]) -> Result<(), Reason> {
    let admitted = judge.admit(40_000_000, (&name.into(), Demand::Paced(fps)), &seats(lanes));
    admitted.map(drop).map_err(|refusal| refusal.reason)
}

#[test]
fn without_evidence_everybody_is_let_in() {
    let lanes = [vec![live("a", 60, 500.0)]];
    assert_eq!(ask(&mut Judge::new(BUDGET_MS), "b", 60.0, &lanes), Ok(()));
    assert_eq!(ask(&mut judge_of(&lanes, 15, 29), "b", 60.0, &lanes), Ok(()), "half a minute is not over");
    let few = [vec![live("a", 3, 500.0)]];
    assert_eq!(
        ask(&mut judge_of(&few, 15, 40), "b", 60.0, &few),
        Ok(()),
        "three frames a second prove nothing"
    );
}

#[test]
fn a_stream_that_a_lane_has_no_time_for_is_refused() {
    // 40 frames a second of 10 ms are a load of 0.4: another 60 are too many, another 50 leave no time to wait.
    let lanes = [vec![live("a", 40, 20.0)]];
    let mut judge = judge_of(&lanes, 10, 40);
    assert_eq!(ask(&mut judge, "b", 60.0, &lanes), Err(Reason::Full));
    assert_eq!(ask(&mut judge, "b", 55.0, &lanes), Err(Reason::WouldBeLate));
    assert_eq!(ask(&mut judge, "b", 30.0, &lanes), Ok(()));
}

#[test]
fn numbers_of_a_refusal_are_those_of_the_estimate() {
    let lanes = [vec![live("a", 40, 20.0)]];
    let refusal = judge_of(&lanes, 10, 40)
        .admit(40_000_000, (&"b".into(), Demand::Paced(55.0)), &seats(&lanes))
        .unwrap_err();
    assert!((refusal.load - 0.95).abs() < 1e-6 && (refusal.p99_ms - 240.0).abs() < 1e-3, "{refusal:?}");
}

#[test]
fn a_lane_whose_results_are_late_takes_nobody() {
    let lanes = [vec![live("a", 10, 151.0)]];
    assert_eq!(ask(&mut judge_of(&lanes, 10, 40), "b", 1.0, &lanes), Err(Reason::Late));
}

#[test]
fn an_empty_lane_is_nobodys_to_lose() {
    let lanes = [vec![live("a", 40, 200.0)], Vec::new()];
    assert_eq!(ask(&mut judge_of(&lanes, 15, 40), "b", 60.0, &lanes), Ok(()));
}

#[test]
fn those_that_were_let_in_count_until_they_are_measured() {
    let mut lanes = [vec![live("a", 20, 15.0)]];
    let mut judge = judge_of(&lanes, 10, 40);
    assert_eq!(ask(&mut judge, "b", 40.0, &lanes), Ok(()));
    assert_eq!(ask(&mut judge, "c", 40.0, &lanes), Err(Reason::Full), "the first one is on its way");
    // It comes, slower than it was thought.
    lanes[0].push(live("b", 10, 15.0));
    for second in 41..=47 {
        let streams = lanes[0].iter().map(|stream| seen(stream, second)).collect();
        judge.see(second * 1_000_000, vec![LaneLook { busy_us: second * 300_000 - 4_000_000, streams }]);
    }
    assert_eq!(ask(&mut judge, "c", 40.0, &lanes), Ok(()));
}

#[test]
fn a_place_is_not_kept_for_ever() {
    let lanes = [vec![live("a", 20, 15.0)]];
    let mut judge = judge_of(&lanes, 10, 40);
    ask(&mut judge, "b", 60.0, &lanes).unwrap();
    for second in 41..=71 {
        let streams = lanes[0].iter().map(|stream| seen(stream, second)).collect();
        judge.see(second * 1_000_000, vec![LaneLook { busy_us: second * 200_000, streams }]);
    }
    assert_eq!(ask(&mut judge, "c", 60.0, &lanes), Ok(()), "a camera that never came");
}

#[test]
fn a_file_takes_what_is_left_and_is_no_reason_against_others() {
    let mut lanes = [vec![live("a", 20, 15.0), Plays { is_paced: false, ..live("file", 80, 30.0) }]];
    assert_eq!(
        ask(&mut judge_of(&lanes, 10, 40), "b", 40.0, &lanes),
        Ok(()),
        "the lane is busy all the time"
    );
    let mut judge = judge_of(&lanes, 10, 40);
    let file = |judge: &mut Judge, lanes: &[Vec<Plays>]| {
        judge
            .admit(40_000_000, (&"more".into(), Demand::Elastic), &seats(lanes))
            .map(drop)
            .map_err(|refusal| refusal.reason)
    };
    assert_eq!(file(&mut judge, &lanes), Ok(()));
    lanes[0][0].p99_ms = 145.0;
    assert_eq!(file(&mut judge_of(&lanes, 10, 40), &lanes), Err(Reason::WouldBeLate));
}

#[test]
fn a_stream_that_ran_before_is_judged_by_the_rate_that_it_had() {
    let lanes = [vec![live("a", 60, 15.0), live("b", 10, 15.0)]];
    let mut judge = judge_of(&lanes, 10, 40);
    let alone = [vec![live("a", 60, 15.0)]];
    for second in 41..=47 {
        let streams = alone[0].iter().map(|stream| seen(stream, second)).collect();
        judge.see(second * 1_000_000, vec![LaneLook { busy_us: second * 600_000 + 4_000_000, streams }]);
    }
    assert_eq!(ask(&mut judge, "new", 60.0, &alone), Err(Reason::Full));
    assert_eq!(ask(&mut judge, "b", 60.0, &alone), Ok(()));
}

#[test]
fn a_camera_that_is_away_keeps_its_room_and_what_it_was_late_with_is_over() {
    let lanes = [vec![live("a", 30, 15.0), live("away", 60, 400.0)]];
    let mut judge = judge_of(&lanes, 10, 40);
    assert_eq!(ask(&mut judge, "new", 5.0, &lanes), Err(Reason::Late));
    for second in 41..=50 {
        let streams = vec![seen(&lanes[0][0], second), seen(&lanes[0][1], 40)];
        judge.see(second * 1_000_000, vec![LaneLook { busy_us: second * 300_000 + 24_000_000, streams }]);
    }
    assert_eq!(ask(&mut judge, "new", 60.0, &lanes), Err(Reason::Full), "it comes back");
    assert_eq!(ask(&mut judge, "small", 5.0, &lanes), Ok(()), "nobody is late now");
}

#[test]
fn a_restart_is_not_judged_against_itself() {
    let lanes = [vec![live("a", 90, 400.0)]];
    assert_eq!(ask(&mut judge_of(&lanes, 10, 40), "a", 90.0, &lanes), Ok(()));
}

#[test]
fn what_is_analysed_of_a_stream_is_what_it_asks_for() {
    assert_eq!(Demand::assumed(true, 1, None), Demand::Paced(60.0));
    assert_eq!(Demand::assumed(true, 4, Some(30)), Demand::Paced(15.0));
    assert_eq!(Demand::assumed(true, 1, Some(5)), Demand::Paced(5.0));
    assert_eq!(Demand::assumed(false, 1, None), Demand::Elastic);
}
