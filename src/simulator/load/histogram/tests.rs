use proptest::prelude::*;

use super::*;

#[test]
fn nothing_counted_has_no_percentile() {
    let empty = Histogram::new();
    assert_eq!((empty.max(), empty.percentile(50.0)), (None, None));
}

#[test]
fn up_to_two_milliseconds_it_is_exact() {
    let mut histogram = Histogram::new();
    for micros in 1..=1000 {
        histogram.add(Duration::from_micros(micros));
    }
    for (percent, micros) in [(0.0, 1), (0.1, 1), (50.0, 500), (99.0, 990), (100.0, 1000)] {
        assert_eq!(histogram.percentile(percent), Some(Duration::from_micros(micros)), "{percent} %");
    }
}

#[test]
fn the_longest_of_all_durations_has_a_bucket() {
    let mut histogram = Histogram::new();
    histogram.add(Duration::MAX);
    assert_eq!(histogram.percentile(50.0), histogram.max());
    assert_eq!(histogram.max(), Some(Duration::from_micros((1 << LONGEST) - 1)));
}

proptest! {
    /// Against the sorted list: never below the truth, and above it by at most one part in 2048.
    #[test]
    fn a_percentile_is_that_of_the_sorted_list(
        mut seen in proptest::collection::vec(prop_oneof![0u64..5000, 0u64..1 << LONGEST], 1..200),
        percent in 0.0..=100.0f64,
    ) {
        let mut histogram = Histogram::new();
        for micros in &seen {
            histogram.add(Duration::from_micros(*micros));
        }
        seen.sort_unstable();
        let rank = (seen.len() as f64 * percent / 100.0).ceil() as usize;
        let truth = seen[rank.clamp(1, seen.len()) - 1];
        let found = histogram.percentile(percent).unwrap().as_micros() as u64;
        prop_assert!(found >= truth && found <= truth + truth / 2048, "{found} for {truth}");
        prop_assert_eq!(histogram.max().unwrap().as_micros() as u64, *seen.last().unwrap());
    }

    #[test]
    fn every_duration_lies_in_the_bucket_that_it_counts_in(micros in 0u64..1 << LONGEST) {
        let found = bucket(micros);
        prop_assert!(found < BUCKETS && edge(found) >= micros);
        prop_assert!(found == 0 || edge(found - 1) < micros);
    }
}
