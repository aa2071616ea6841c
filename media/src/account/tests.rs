//! The account balances whatever a decoder does.

use super::*;

fn balanced(ledger: &Ledger) -> Account {
    let account = ledger.account();
    assert_eq!(account.received, account.frames + account.lost + account.in_flight);
    account
}

#[test]
fn reordered_frames_of_an_intact_stream_are_never_lost() {
    let mut ledger = Ledger::new(1);
    // I P B B in order of decoding, displayed I B B P.
    let numbers: Vec<i64> = [0, 3, 1, 2].map(|pts| ledger.offer(Some(pts), pts == 0)).to_vec();
    for (index, (number, pts)) in [(0, 0), (2, 1), (3, 2), (1, 3)].into_iter().enumerate() {
        let (lost, given) = ledger.deliver(numbers[number], Some(pts), false).unwrap();
        assert_eq!((lost, given), (Vec::new(), index as u64));
    }
    assert_eq!(ledger.finish(), []);
    assert_eq!(balanced(&ledger), Account { received: 4, frames: 4, lost: 0, in_flight: 0 });
}

#[test]
fn an_overtaken_unit_is_lost_before_the_frame_that_overtook_it() {
    let mut ledger = Ledger::new(1);
    ledger.offer(Some(0), true);
    ledger.offer(Some(1), false);
    ledger.refuse("bad slice".to_owned());
    ledger.offer(Some(2), false);
    assert_eq!(ledger.deliver(1, Some(0), false), Ok((Vec::new(), 0)));
    let lost = Lost { count: 1, reason: LossReason::Refused, detail: Some("bad slice".to_owned()) };
    assert_eq!(ledger.deliver(3, Some(2), false), Ok((vec![lost], 2)));
    assert_eq!(balanced(&ledger).lost, 1);
}

#[test]
fn a_refused_unit_may_still_give_its_frame() {
    let mut ledger = Ledger::new(1);
    let number = ledger.offer(Some(0), true);
    ledger.refuse("bad slice".to_owned());
    assert!(ledger.deliver(number, Some(0), false).is_ok());
    assert_eq!(ledger.finish(), []);
}

#[test]
fn a_repeated_or_late_frame_is_not_delivered_twice() {
    let mut ledger = Ledger::new(1);
    ledger.offer(Some(5), true);
    ledger.offer(Some(9), false);
    assert!(ledger.deliver(2, Some(9), false).is_ok());
    assert_eq!(ledger.deliver(2, Some(9), false), Err(()));
    assert_eq!(ledger.deliver(1, Some(5), false), Err(()));
    // From here on the timestamps are not believed.
    ledger.offer(Some(1), false);
    ledger.offer(Some(2), false);
    assert_eq!(ledger.deliver(4, Some(2), false).map(|(lost, _)| lost), Ok(Vec::new()));
    assert!(ledger.deliver(3, Some(1), false).is_ok());
    assert_eq!(balanced(&ledger), Account { received: 4, frames: 3, lost: 1, in_flight: 0 });
}

#[test]
fn a_stream_without_any_frame_reports_its_losses_in_bounded_time() {
    let mut ledger = Ledger::new(2);
    let mut lost = 0;
    for pts in 0..100 {
        ledger.offer(Some(pts), false);
        for part in ledger.overdue() {
            assert_eq!(part.reason, LossReason::BeforeKeyFrame);
            lost += part.count;
        }
        assert!(balanced(&ledger).in_flight <= (DEPTH + 2) as u64);
    }
    lost += ledger.finish().iter().map(|part| part.count).sum::<u64>();
    assert_eq!((lost, balanced(&ledger).received), (100, 100));
}

#[test]
fn two_fields_of_one_frame_count_once() {
    let mut ledger = Ledger::new(1);
    for frame in 0..50 {
        let first = ledger.offer(Some(2 * frame), frame == 0);
        ledger.offer(Some(2 * frame + 1), false);
        assert!(ledger.deliver(first, Some(2 * frame), true).is_ok());
        assert_eq!(ledger.overdue(), []);
    }
    assert_eq!(ledger.finish(), []);
    assert_eq!(balanced(&ledger), Account { received: 50, frames: 50, lost: 0, in_flight: 0 });
}

#[test]
fn a_decoder_that_carries_no_numbers_is_matched_by_time_or_order() {
    let mut ledger = Ledger::new(1);
    ledger.offer(Some(10), true);
    ledger.offer(Some(20), false);
    ledger.offer(None, false);
    assert_eq!(ledger.deliver(0, Some(10), false).map(|(_, index)| index), Ok(0));
    assert_eq!(ledger.deliver(i64::MIN, Some(20), false).map(|(_, index)| index), Ok(1));
    assert_eq!(ledger.deliver(0, None, false).map(|(_, index)| index), Ok(2));
    assert_eq!(ledger.finish(), []);
}
