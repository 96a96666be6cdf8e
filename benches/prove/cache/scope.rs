//! Clients of different keys that ask the same, at once and one after the other: each has an answer of its own.

use std::{collections::HashSet, time::Duration};

use sidegate::config::KeyHash;
use tokio::task::JoinSet;

use super::{
    asking::{Told, ask, question, words},
    config,
    scripted::{Answer, Scripted},
};
use crate::{figures::Table, sidegate::Sidegate};

const CLIENTS: usize = 50;

/// So long is every call under way: all of them are at the same time.
const CALL: Duration = Duration::from_millis(500);

pub(super) async fn prove(table: &mut Table) {
    for (scope, bar) in [("client", CLIENTS), ("all", 1)] {
        let provider = Scripted::start(|request| Answer { after: CALL, ..Answer::good(request.number, "An answer.") }).await;
        let sidegate =
            Sidegate::of(", workers: 2", &config(provider.address, &format!("cache: {{ scope: {scope} }}\n{}", clients()))).await;
        let mut all = Vec::new();
        for _ in 0..3 {
            all.extend(ask_all(&sidegate).await);
        }
        let good = all.iter().filter(|(_, told)| told.is_good()).count();
        let bodies: HashSet<_> = all.iter().map(|(_, told)| &told.body).collect();
        let pairs: HashSet<_> = all.iter().map(|(client, told)| (client, &told.body)).collect();
        let what = |what: &str| format!("{CLIENTS} clients, the same body, three times, scope `{scope}`: {what}");
        table.hold(what("good replies"), good, (3 * CLIENTS).to_string(), good == 3 * CLIENTS);
        table.hold(what("calls"), provider.calls(), bar.to_string(), provider.calls() == bar as u64);
        if scope == "client" {
            // Each of its answers is one client's alone, and each client has but one.
            let shared = pairs.len() - bodies.len();
            table.hold(what("answers that two clients share"), shared, "0", shared == 0 && bodies.len() == CLIENTS);
        }
        table.tell(what("how"), words(all.iter().map(|(_, told)| told)));
    }
}

/// All at once, each with its own key.
async fn ask_all(sidegate: &Sidegate) -> Vec<(usize, Told)> {
    let mut asking = JoinSet::new();
    let (to, body) = (sidegate.address, question("gpt-4o-mini", "What is the capital?", false));
    for client in 0..CLIENTS {
        let (fields, body) = (format!("Authorization: Bearer {}\r\n", key(client)), body.clone());
        asking.spawn(async move { (client, ask(to, &fields, &body).await) });
    }
    asking.join_all().await
}

fn key(client: usize) -> String {
    format!("sg-client{client}-0123456789abcdef")
}

fn clients() -> String {
    let row = |client: usize| format!("    - {{ name: client-{client}, sha256: {}, tier: all }}\n", KeyHash::of(key(client).as_bytes()));
    format!("clients:\n  keys:\n{}", (0..CLIENTS).map(row).collect::<String>())
}
