//! Keys that go bad while others are good: clients must not notice, and the bad ones must be left alone.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::{sleep, sleep_until};

use crate::{
    admin::Admin,
    figures::Table,
    rig::{Ask, Caller, Note, Simulated, health, offer, steady},
    sidegate::Sidegate,
};

/// Two keys of one account, and three accounts with one each.
const KEYS: [&str; 5] = ["sk-account-a-1", "sk-account-a-2", "sk-account-b-1", "sk-account-c-1", "sk-account-d-1"];

const RATE: f64 = 100.0;
/// When the key goes bad, and when the run ends.
const BAD_AT: Duration = Duration::from_secs(3);
const END: Duration = Duration::from_secs(12);
/// What was on its way when the first refusal came back does not count.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

/// What goes wrong with the first key, and which keys it makes useless.
struct Case {
    what: &'static str,
    is: &'static str,
    bad: &'static [&'static str],
}

const CASES: [Case; 4] = [
    Case { what: "a key that is revoked", is: "invalid", bad: &["sk-account-a-1"] },
    Case { what: "an account of two keys that runs out of money", is: "dead", bad: &["sk-account-a-1", "sk-account-a-2"] },
    Case { what: "a key that loses all rights", is: "forbidden", bad: &["sk-account-a-1"] },
    Case { what: "a key that flaps: 401 and good by turns", is: "flapping", bad: &["sk-account-a-1"] },
];

pub(super) async fn prove(table: &mut Table) {
    for case in &CASES {
        run(table, case).await;
    }
}

async fn run(table: &mut Table, case: &Case) {
    let provider = Simulated::start(sidegate::simulator::Options { first_token: Duration::from_millis(30), ..Simulated::prompt() });
    let sidegate = Sidegate::of("", &config(&provider)).await;
    let caller = Arc::new(Caller::to(sidegate.address));
    let start = Instant::now();
    let load = tokio::spawn({
        let caller = Arc::clone(&caller);
        async move {
            let times = steady(RATE, END);
            offer(&times, start, |_| {
                let caller = Arc::clone(&caller);
                async move { caller.call(&Ask::of("gpt-4o-mini")).await }
            })
            .await
        }
    });
    sleep_until((start + BAD_AT).into()).await;
    provider.order(json!({ "key": KEYS[0], "is": case.is })).await;
    let outcomes = load.await.expect("clients do not panic");
    let mut admin = Admin::at(sidegate.admin);
    let states = health(&mut admin).await;
    let failed = outcomes.iter().filter(|outcome| !outcome.is_good()).count();
    let what = |what: &str| format!("{}: {what}", case.what);
    table.hold(what("clients that failed"), format!("{failed} of {}", outcomes.len()), "0", failed == 0);
    if failed > 0 {
        table.tell(what("how"), super::words(&outcomes));
    }
    let mut notes = Vec::new();
    for key in case.bad {
        notes.extend(provider.of(key).await);
    }
    let (seen, late) = late(&notes, start + BAD_AT);
    let bar = "≤ 1 in its first probe period";
    table.hold(what("requests that it got after the first refusal"), late, bar, late <= 1 && seen > 0);
    table.tell(what("refusals, those on their way at the first one included"), seen);
    table.tell(what("states of the keys at the end"), said(&states));
    if case.is == "invalid" {
        back(table, &provider, (&caller, &mut admin)).await;
    }
}

/// How often it refused, and how many requests came when that was known.
fn late(notes: &[Note], bad_at: Instant) -> (usize, usize) {
    let refusals = notes.iter().filter(|note| note.started >= bad_at && note.status.is_some_and(|status| status.as_u16() != 200));
    let known = refusals.clone().map(|note| note.ended + ON_ITS_WAY).min();
    let late = known.map_or(0, |known| notes.iter().filter(|note| note.started > known).count());
    (refusals.count(), late)
}

fn said(states: &BTreeMap<String, usize>) -> String {
    states.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

/// The key is good again, and an operator says so: it is used again.
async fn back(table: &mut Table, provider: &Simulated, (caller, admin): (&Caller, &mut Admin)) {
    provider.order(json!({ "key": KEYS[0], "is": "good" })).await;
    let before = provider.of(KEYS[0]).await.len();
    let id = format!("pool.{}", sidegate::types::Fingerprint::of(KEYS[0].as_bytes()));
    let (status, body) = admin.ask("POST", &format!("/keys/{id}/reset")).await.expect("the admin listener answers");
    let begun = Instant::now();
    let used = loop {
        let outcome = caller.call(&Ask::of("gpt-4o-mini")).await;
        assert!(outcome.is_good(), "a request failed: {}", outcome.word());
        if provider.of(KEYS[0]).await.len() > before {
            break true;
        }
        if begun.elapsed() > Duration::from_secs(20) {
            break false;
        }
        sleep(Duration::from_millis(5)).await;
    };
    let figure = if used { format!("{:.2} s", begun.elapsed().as_secs_f64()) } else { format!("never: {status} {body}") };
    table.hold("a key that is good again and reset: until it is used", figure, "≤ 20 s", used);
}

fn config(provider: &Simulated) -> String {
    let row =
        |key: &&str| format!("      - {{ value: {key}, name: {}, account: {} }}\n", key.trim_start_matches("sk-account-"), &key[11..12]);
    let keys: String = KEYS.iter().map(row).collect();
    format!(
        "providers:\n  pool:\n    base_url: http://{}/v1\n    keys:\n{keys}\
         routes:\n  - {{ path: /v1, targets: [pool] }}\n",
        provider.address
    )
}
