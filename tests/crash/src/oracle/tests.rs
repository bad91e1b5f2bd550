//! Each rule of the oracle, kept and broken.

use super::*;

const RUN: u64 = 42;

fn id(sequence: u64) -> RecordId {
    RecordId { life: 1, producer: 2, sequence }
}

fn at(index: u64) -> Place {
    Place { shard: 3, index }
}

fn sent(sequence: u64) -> Event {
    Event::Sent { first: id(sequence), count: 1 }
}

fn acked(sequence: u64, index: u64) -> Event {
    Event::Acked { id: id(sequence), place: at(index) }
}

fn row(sequence: u64, index: u64) -> Row {
    let record = content(RUN, id(sequence));
    Row::new(at(index), &record.key, &record.data)
}

/// Events, then complete listings: the names of the violations in the end.
fn check(events: &[Event], listings: &[&[Row]], expected: &[&str]) {
    let mut oracle = Oracle::new(RUN);
    oracle.learn(events);
    for listing in listings {
        oracle.check_listing(listing, true);
    }
    let (violations, count) = oracle.take_violations();
    let names: Vec<&str> = violations.iter().map(Violation::name).collect();
    assert_eq!(names, expected, "{violations:?}");
    assert_eq!(count, expected.len() as u64);
}

#[test]
fn acknowledged_records_are_there_once_in_order() {
    let two = [Event::Sent { first: id(0), count: 2 }, acked(0, 0), acked(1, 1)];
    check(&two, &[&[row(0, 0), row(1, 1)]], &[]);
    check(&two, &[&[row(0, 0)]], &["lost"]);
    check(&two, &[&[row(0, 0)], &[row(0, 0)]], &["lost"]);
    check(&two, &[&[]], &["lost", "lost"]);
    check(&two, &[&[row(0, 0), row(1, 1), row(1, 2)]], &["doubled"]);
    check(&two, &[&[row(1, 0), row(0, 1)]], &["moved", "moved"]);
    check(&two, &[&[row(0, 0), row(1, 2)]], &["gap", "moved"]);
    let other_shard = Row { place: Place { shard: 4, index: 1 }, ..row(1, 1) };
    check(&two, &[&[row(0, 0), other_shard]], &["moved"]);
}

#[test]
fn an_unacknowledged_record_may_be_there_but_not_come_and_go() {
    let events = [sent(0), acked(0, 0), sent(1)];
    check(&events, &[&[row(0, 0)]], &[]);
    check(&events, &[&[row(0, 0), row(1, 1)]], &[]);
    check(&events, &[&[row(0, 0), row(1, 1)], &[row(0, 0)]], &["lost"]);
    check(&events, &[&[row(0, 0)], &[row(0, 0), row(1, 1)]], &["returned"]);
}

#[test]
fn a_record_that_was_shown_stays() {
    let shown = [sent(0), Event::Seen { id: id(0), place: at(0) }];
    check(&shown, &[&[row(0, 0)]], &[]);
    check(&shown, &[&[]], &["lost"]);
    let elsewhere = [sent(0), Event::Seen { id: id(0), place: at(0) }, acked(0, 1)];
    check(&elsewhere, &[], &["moved"]);
}

#[test]
fn what_was_never_sent_is_corrupt() {
    check(&[], &[&[row(0, 0)]], &["corrupt"]);
    check(&[sent(0)], &[&[Row { digest: 1, ..row(0, 0) }]], &["corrupt"]);
    check(&[sent(0)], &[&[Row { head: [0; 24], ..row(0, 0) }]], &["corrupt"]);
    check(&[acked(0, 0)], &[], &["corrupt"]);
}

#[test]
fn order_follows_what_was_known_before_sending() {
    check(&[sent(0), acked(0, 5), sent(1), acked(1, 6)], &[], &[]);
    check(&[sent(0), acked(0, 5), sent(1), acked(1, 4)], &[], &["reordered"]);
    check(&[sent(0), sent(1), acked(0, 5), acked(1, 4)], &[], &[]);
    check(&[sent(0), acked(0, 5), sent(1)], &[&[row(1, 4), row(0, 5)]], &["reordered"]);
    let elsewhere = Event::Acked { id: id(1), place: Place { shard: 4, index: 0 } };
    check(&[sent(0), acked(0, 5), sent(1), elsewhere], &[], &[]);
}

#[test]
fn a_listing_cut_short_proves_no_absence() {
    let mut oracle = Oracle::new(RUN);
    oracle.learn(&[sent(0), acked(0, 0), sent(1), acked(1, 1), sent(2)]);
    oracle.check_listing(&[row(0, 0)], false);
    assert_eq!(oracle.take_violations().1, 0);
    oracle.check_listing(&[row(1, 0)], false);
    assert_eq!(oracle.take_violations().0[0].name(), "moved");
    assert_eq!(oracle.counts(), OracleCounts { sent: 3, acked: 2, gone: 0 });
    oracle.check_listing(&[row(0, 0)], true);
    assert_eq!(oracle.counts(), OracleCounts { sent: 3, acked: 2, gone: 1 });
}
