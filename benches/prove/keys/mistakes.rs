//! A thousand mistakes of clients: nobody else's health may suffer from them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    admin::Admin,
    figures::Table,
    rig::{Ask, Caller, Phase, Simulated, breakers, counted, health},
    sidegate::Sidegate,
};

const MISTAKES: usize = 1_000;
/// How many are made at the same time.
const AT_ONCE: usize = 20;
/// Far more than an answer at once takes.
const PATIENT: Duration = Duration::from_secs(20);
/// Less than any reply takes.
const IMPATIENT: Duration = Duration::from_millis(40);
/// Behind the head of a reply and before its end.
const CHAT: &str = "/v1/chat/completions";

/// A mistake: its name, the path, the body, how long the client waits, and the status that it gets.
type Mistake = (&'static str, &'static str, &'static str, Duration, Option<u16>);

const KINDS: [Mistake; 10] = [
    ("no JSON", CHAT, "{\"model\":", PATIENT, Some(400)),
    ("no messages", CHAT, r#"{"model":"gpt-4o-mini"}"#, PATIENT, Some(400)),
    ("a context that is too long", CHAT, r#"{"model":"fault-400","messages":[]}"#, PATIENT, Some(400)),
    ("an unknown model", CHAT, r#"{"model":"fault-404","messages":[]}"#, PATIENT, Some(404)),
    ("an unknown endpoint", "/v1/chat/complete", r#"{"model":"gpt-4o-mini"}"#, PATIENT, Some(404)),
    ("a request that is too large", CHAT, r#"{"model":"fault-413","messages":[]}"#, PATIENT, Some(413)),
    ("what can't be processed", CHAT, r#"{"model":"fault-422","messages":[]}"#, PATIENT, Some(422)),
    ("a timeout before the head", CHAT, r#"{"model":"fault-slow","messages":[]}"#, IMPATIENT, None),
    ("a timeout where nothing ever comes", CHAT, r#"{"model":"fault-hang","messages":[]}"#, IMPATIENT, None),
    ("a cancel in mid-stream", CHAT, r#"{"model":"fault-stall","stream":true,"messages":[]}"#, PATIENT, Some(200)),
];

/// Counters that move when anybody's health changes.
const TRANSITIONS: [&str; 3] = ["sidegate_key_transitions_total", "sidegate_key_cooldowns_total", "sidegate_breaker_transitions_total"];

pub(super) async fn prove(table: &mut Table) {
    let provider = Simulated::start(sidegate::simulator::Options { first_token: Duration::from_millis(10), ..Simulated::prompt() });
    let sidegate = Sidegate::of("", &config(&provider)).await;
    let (caller, mut admin) = (Arc::new(Caller::to(sidegate.address)), Admin::at(sidegate.admin));
    let good_before = good(&caller).await;
    let before = Standing::read(&mut admin).await;
    let unlike = mistakes(&caller).await;
    let after = Standing::read(&mut admin).await;
    let good_after = good(&caller).await;
    table.hold(format!("{MISTAKES} mistakes: answered otherwise than the provider does"), unlike, "0", unlike == 0);
    table.tell("states of keys before them", format!("{:?}", before.keys));
    table.hold("… and after", format!("{:?}", after.keys), "the same, all active", before.keys == after.keys && after.is_active());
    let open = after.breakers.iter().filter(|phase| phase.state != "closed").count();
    table.hold("breakers that are not closed", open, "0", open == 0);
    let moved = after.moved - before.moved;
    table.hold("changes of state and cool-downs counted on the way", moved, "0", moved == 0.0);
    let lost = 100 - good_before - good_after;
    table.hold("good requests lost, of 50 before and 50 behind them", lost, "0", lost == 0);
}

struct Standing {
    keys: BTreeMap<String, usize>,
    breakers: Vec<Phase>,
    moved: f64,
}

impl Standing {
    async fn read(admin: &mut Admin) -> Self {
        let mut moved = 0.0;
        for name in TRANSITIONS {
            moved += counted(admin, name).await;
        }
        Self { keys: health(admin).await, breakers: breakers(admin).await, moved }
    }

    fn is_active(&self) -> bool {
        !self.keys.is_empty() && self.keys.keys().all(|state| state == "active")
    }
}

async fn good(caller: &Caller) -> usize {
    let mut good = 0;
    for _ in 0..50 {
        good += usize::from(caller.call(&Ask::of("gpt-4o-mini")).await.is_good());
    }
    good
}

/// How many were not answered as they should be.
async fn mistakes(caller: &Arc<Caller>) -> usize {
    let mut clients = JoinSet::new();
    for client in 0..AT_ONCE {
        let caller = Arc::clone(caller);
        clients.spawn(async move {
            let mut unlike = 0;
            for number in 0..MISTAKES / AT_ONCE {
                let (what, path, body, patience, wanted) = KINDS[(client + number) % KINDS.len()];
                let status = caller.leave(path, body, patience).await;
                if status != wanted {
                    eprintln!("{what}: {status:?} and not {wanted:?}");
                    unlike += 1;
                }
            }
            unlike
        });
    }
    clients.join_all().await.iter().sum()
}

fn config(provider: &Simulated) -> String {
    let keys: String = (0..4).map(|n| format!("      - {{ value: sk-account-{n}-1, name: key-{n} }}\n")).collect();
    format!(
        "providers:\n  pool:\n    base_url: http://{}/v1\n    keys:\n{keys}\
         routes:\n  - {{ path: /v1, targets: [pool] }}\n",
        provider.address
    )
}
