use proptest::prelude::*;

use super::*;

const COOLDOWN: Duration = Duration::from_secs(60);

fn spec() -> Spec {
    Spec::from(&Autoscaling::default())
}

fn cpu(percent: f64) -> Readings {
    Readings { cpu: percent, memory: Some(10.0), requests_per_second: 0.0 }
}

/// What is said at each of these moments, in seconds, when the processors are so busy.
fn said(steps: &[(u64, f64)]) -> Vec<(Recommendation, Priority)> {
    let start = Instant::now();
    let mut state = State::new(start);
    let decide = |(at, percent): &(u64, f64)| decide(&spec(), &mut state, &cpu(*percent), start + Duration::from_secs(*at));
    steps.iter().map(decide).map(|advice| (advice.recommendation, advice.priority)).collect()
}

#[test]
fn a_busy_replica_asks_for_more_at_once_and_for_fewer_only_after_a_while() {
    use Priority::{High, Low, Medium, None};
    use Recommendation::{Hold, ScaleDown, ScaleUp};
    assert_eq!(said(&[(0, 70.0), (1, 90.0), (2, 69.9)]), [(ScaleUp, Medium), (ScaleUp, High), (ScaleUp, Medium)]);
    assert_eq!(said(&[(0, 5.0), (59, 5.0), (60, 5.0)]), [(Hold, None), (Hold, None), (ScaleDown, Low)]);
}

#[test]
fn it_stays_with_what_it_said_until_half_way_back_and_for_the_cooldown() {
    use Priority::{Low, Medium, None};
    use Recommendation::{Hold, ScaleDown, ScaleUp};
    let said = said(&[(0, 75.0), (59, 40.0), (60, 51.0), (61, 49.0), (100, 10.0), (121, 10.0), (200, 49.0), (201, 51.0)]);
    let expected = [
        (ScaleUp, Medium),
        (ScaleUp, Low),
        (ScaleUp, Medium),
        (Hold, None),
        (Hold, None),
        (ScaleDown, Low),
        (ScaleDown, Low),
        (Hold, None),
    ];
    assert_eq!(said, expected);
}

#[test]
fn the_reason_names_the_reading_and_its_marks() {
    let config =
        Autoscaling { requests_per_second: Some(crate::config::autoscaling::RateMarks { high: 100, low: 20 }), ..Autoscaling::default() };
    let spec = Spec::from(&config);
    let start = Instant::now();
    let reason = |readings: Readings| decide(&spec, &mut State::new(start), &readings, start + COOLDOWN).reason.to_string();
    let readings = Readings { cpu: 12.0, memory: Some(5.0), requests_per_second: 250.0 };
    assert_eq!(reason(readings), "requests_per_second at 250.0/s (high from 100/s, low up to 20/s)");
    assert_eq!(reason(Readings { memory: Some(91.0), requests_per_second: 0.0, ..readings }), "memory at 91.0 % (high from 80 %)");
    let idle = Readings { cpu: 3.0, memory: None, requests_per_second: 1.0 };
    assert_eq!(reason(idle), "cpu at 3.0 % (high from 70 %, low up to 30 %), and nothing else is busier");
    assert_eq!(reason(Readings { cpu: 50.0, ..idle }), "cpu at 50.0 % (high from 70 %, low up to 30 %)");
    assert_eq!(
        decide(&spec, &mut State::new(start), &idle, start).reason.to_string(),
        "readings say scale_down, and the cooldown is not over"
    );
}

proptest! {
    /// Whatever is read: what was said changes at most once in a cooldown, is never contradicted by a reading at the other
    /// mark once that is over, and says how long it stands.
    #[test]
    fn what_is_said_holds_still_and_follows_in_the_end(
        steps in prop::collection::vec((0_u64..40, 0.0..100.0, prop::option::of(0.0..100.0), 0.0..200.0), 1..80),
        marks in prop::option::of((50.0..150.0, 0.0..40.0)),
    ) {
        let spec = Spec { requests_per_second: marks.map(|(high, low)| Marks { high, low: Some(low) }), ..spec() };
        let (start, mut now) = (Instant::now(), 0);
        let mut state = State::new(start);
        let (mut last, mut changes) = (Recommendation::Hold, Vec::new());
        for (seconds, cpu, memory, requests_per_second) in steps {
            now += seconds;
            let readings = Readings { cpu, memory, requests_per_second };
            let advice = decide(&spec, &mut state, &readings, start + Duration::from_secs(now));
            prop_assert!(advice.cooldown_left <= COOLDOWN);
            let is_new = advice.recommendation != last;
            if is_new {
                changes.push(now);
                last = advice.recommendation;
                prop_assert_eq!(advice.cooldown_left, COOLDOWN);
            }
            prop_assert_eq!(advice.recommendation == Recommendation::Hold, advice.priority == Priority::None);
            let high = cpu >= 70.0 || memory.is_some_and(|memory| memory >= 80.0) || marks.is_some_and(|(high, _)| requests_per_second >= high);
            let low = cpu <= 30.0 && memory.is_none_or(|memory| memory < 72.0) && marks.is_none_or(|(_, low)| requests_per_second <= low);
            if advice.cooldown_left.is_zero() || is_new {
                prop_assert!(!high || advice.recommendation == Recommendation::ScaleUp, "{readings:?} {advice:?}");
                prop_assert!(!low || now < 60 || advice.recommendation == Recommendation::ScaleDown, "{readings:?} {advice:?}");
            }
        }
        prop_assert!(changes.windows(2).all(|pair| pair[1] - pair[0] >= 60), "{changes:?}");
    }
}
