use super::*;
use crate::config::log::MOST_DECISIONS;

fn decision(id: &str) -> Decision {
    Decision {
        request_id: Cut::of(id),
        at: SystemTime::UNIX_EPOCH,
        route: Some("/v1".into()),
        model: None,
        cache: None,
        status: 200,
        end: "complete",
        error: None,
        took: Duration::ZERO,
        cost: None,
        cost_estimated: false,
        tried: Tries::default(),
    }
}

fn tried(status: u16) -> Tried {
    Tried {
        provider: "openai".parse().unwrap(),
        key: None,
        key_name: None,
        model: None,
        why: None,
        since_start: Duration::ZERO,
        took: Duration::ZERO,
        waited_for_key: Duration::ZERO,
        waited_in_line: Duration::ZERO,
        stopped: None,
        cause: Some(Cause::Served),
        status: Some(status),
        sent: Sent::Answered,
        then: "pass",
    }
}

fn ids(decisions: &[Decision]) -> Vec<&str> {
    decisions.iter().map(|decision| decision.request_id.as_str()).collect()
}

#[test]
fn the_last_are_kept_and_told_latest_first() {
    let ring = Ring::new(40);
    assert!(ring.is_on() && ring.last(9).is_empty());
    (0..100).for_each(|at| ring.push(decision(&format!("req_{at}"))));
    assert_eq!(ids(&ring.last(3)), ["req_99", "req_98", "req_97"]);
    let all = ring.last(usize::MAX);
    assert_eq!((all.len(), all[39].request_id.as_str()), (40, "req_60"));
    assert_eq!((ring.of("req_60").len(), ring.of("req_59").len()), (1, 0));
}

#[test]
fn one_id_may_stand_for_many_requests_and_a_long_one_is_found_by_all_of_it() {
    let ring = Ring::new(10);
    let long = "x".repeat(5_000);
    for (id, status) in [("same", 1), (&*long, 2), ("same", 3)] {
        ring.push(Decision { status, ..decision(id) });
    }
    assert_eq!(ring.of("same").iter().map(|decision| decision.status).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(ring.of(&long)[0].status, 2);
    assert!(ring.of("sam").is_empty());
}

#[test]
fn one_that_keeps_none_takes_nothing_and_another_size_holds_from_then_on() {
    let ring = Ring::new(0);
    assert!(!ring.is_on());
    ring.push(decision("lost"));
    ring.resize(100);
    assert!(ring.is_on() && ring.last(9).is_empty());
    (0..100).for_each(|at| ring.push(decision(&at.to_string())));
    ring.resize(10);
    assert_eq!(ring.last(99).len(), 10);
    (100..105).for_each(|at| ring.push(decision(&at.to_string())));
    assert_eq!(ids(&ring.last(2)), ["104", "103"]);
    assert_eq!(ring.last(99).len(), 10);
    ring.resize(usize::MAX);
    (0..2 * MOST_DECISIONS).for_each(|at| ring.push(decision(&at.to_string())));
    assert_eq!(ring.last(usize::MAX).len(), MOST_DECISIONS);
}

#[test]
fn workers_that_write_and_read_at_once_lose_nothing() {
    let ring = Ring::new(64);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let ring = &ring;
            scope.spawn(move || {
                (0..500).for_each(|at| {
                    ring.push(decision(&format!("{worker}-{at}")));
                    assert!(ring.last(5).len() <= 5);
                })
            });
        }
    });
    assert_eq!(ring.last(usize::MAX).len(), 64);
}

#[test]
fn what_was_tried_stays_in_order_and_what_is_beyond_the_bound_is_counted() {
    let mut tries = Tries::default();
    assert!(tries.last_mut().is_none());
    for status in 0..40 {
        tries.push(tried(status));
        assert_eq!(tries.last_mut().is_some_and(|last| last.status == Some(status)), status < 32);
    }
    assert_eq!(tries.iter().map(|tried| tried.status.unwrap()).collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
    assert_eq!((tries.untold(), tries.count()), (8, 40));
}

#[test]
fn the_verdict_is_that_of_the_last_that_was_sent() {
    let mut tries = Tries::default();
    assert_eq!((tries.verdict(), tries.count()), (None, 0));
    for (cause, verdict) in [
        (None, None),
        (Some(Cause::ServerError), Some(Cause::ServerError)),
        (Some(Cause::Served), Some(Cause::Served)),
        (None, Some(Cause::Served)),
    ] {
        tries.push(Tried { cause, ..tried(200) });
        assert_eq!(tries.verdict(), verdict);
    }
}

#[test]
fn a_decision_is_small() {
    let size = size_of::<Decision>();
    assert!(size <= 640, "{size} bytes, and {MOST_DECISIONS} may be kept");
}
