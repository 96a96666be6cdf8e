use std::{collections::HashSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::config::{Determinism, Replay};

const GOOD: Reply = Reply { status: 200, ending: Ending::Good, whole: true, bytes: 1_000, stands_in: false };

fn spec() -> Spec {
    Spec {
        ttl: Duration::from_secs(600),
        negative_ttl: Duration::from_secs(10),
        stale_if_error: Duration::from_secs(3_600),
        max_entry: 1_000,
        scope: Scope::Client,
        determinism: Determinism::Any,
        headers: Box::default(),
        collapse: true,
        finish: false,
        replay: Replay::Instant,
        counts_hits: false,
    }
}

#[test]
fn a_good_and_whole_reply_is_an_answer() {
    assert_eq!(worth(&spec(), &GOOD), Ok(Kind::Answer));
}

#[test]
fn each_flaw_has_its_name() {
    for (flawed, why) in [
        (Reply { whole: false, ..GOOD }, Unfit::Unfinished),
        (Reply { ending: Ending::Open, ..GOOD }, Unfit::Unfinished),
        (Reply { ending: Ending::Error, ..GOOD }, Unfit::Error),
        (Reply { ending: Ending::Filtered, ..GOOD }, Unfit::Filtered),
        (Reply { bytes: 1_001, ..GOOD }, Unfit::Large),
        (Reply { stands_in: true, ..GOOD }, Unfit::StandsIn),
        (Reply { status: 206, ..GOOD }, Unfit::Status),
    ] {
        assert_eq!(worth(&spec(), &flawed), Err(why));
        // A refusal is not kept for a flaw that an answer is not kept for.
        assert!(worth(&spec(), &Reply { status: if flawed.status == 200 { 400 } else { 206 }, ..flawed }).is_err());
    }
}

#[test]
fn a_refusal_is_kept_for_its_own_client_alone_and_where_it_may() {
    for status in [400, 404] {
        let refusal = Reply { status, ..GOOD };
        assert_eq!(worth(&spec(), &refusal), Ok(Kind::Refusal));
        for scope in [Scope::Tier, Scope::All] {
            assert_eq!(worth(&Spec { scope, ..spec() }, &refusal), Err(Unfit::Status));
        }
        assert_eq!(worth(&Spec { negative_ttl: Duration::ZERO, ..spec() }, &refusal), Err(Unfit::Status));
    }
}

#[test]
fn all_reasons_are_listed_under_names_of_their_own() {
    let names: HashSet<_> = Unfit::ALL.iter().map(|unfit| unfit.name()).collect();
    assert_eq!(names.len(), Unfit::ALL.len());
}

proptest! {
    #[test]
    fn only_what_is_whole_and_good_is_kept(
        status in prop_oneof![Just(200_u16), 100..600_u16],
        ending in prop::sample::select(vec![Ending::Good, Ending::Open, Ending::Error, Ending::Filtered]),
        whole: bool, stands_in: bool, bytes in 0..2_000_u64,
        scope in prop::sample::select(vec![Scope::Client, Scope::Tier, Scope::All]),
    ) {
        let spec = Spec { scope, ..spec() };
        let reply = Reply { status, ending, whole, bytes, stands_in };
        if let Ok(kind) = worth(&spec, &reply) {
            prop_assert!(whole && ending == Ending::Good && !stands_in && bytes <= spec.max_entry);
            match kind {
                Kind::Answer => prop_assert_eq!(status, 200),
                Kind::Refusal => prop_assert!((status == 400 || status == 404) && scope == Scope::Client),
            }
        }
    }
}
