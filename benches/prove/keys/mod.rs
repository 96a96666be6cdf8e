//! A pool of keys that can afford more or less, keys that go bad, and clients that make mistakes.
//!
//! `--part=load|bad|mistakes` for one of them; `--by=config|replies|turns` for one way of choosing a key, `--seconds=N` of each
//! run under load, `--scale=SHARE` of the limits, `--bucket=SECONDS` that a
//! provider's bucket holds, `--seed=N`.

mod bad;
mod load;
mod mistakes;

use std::collections::BTreeMap;

use crate::{figures::Table, flag, rig::Outcome};

pub(crate) async fn prove(table: &mut Table) {
    let part = flag("part", "all".to_owned());
    if ["all", "load"].contains(&&*part) {
        load::prove(table).await;
    }
    if ["all", "bad"].contains(&&*part) {
        bad::prove(table).await;
    }
    if ["all", "mistakes"].contains(&&*part) {
        mistakes::prove(table).await;
    }
}

/// How many ended how.
fn words(outcomes: &[Outcome]) -> String {
    let mut words = BTreeMap::<_, usize>::new();
    for outcome in outcomes {
        *words.entry(outcome.word()).or_default() += 1;
    }
    words.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}
