//! The same question is paid for once, nobody is told what another has asked, and nothing is kept that is not whole and good.
//!
//! `--part=collapse|scope|growth|zipf|poison` for one of them. What a hit costs beside nginx is measured by `scripts/prove compare hits`.

mod asking;
mod collapse;
mod growth;
mod poison;
mod scope;
mod scripted;
mod zipf;

use std::net::SocketAddr;

use serde_json::Value;

use crate::{admin::Admin, figures::Table, flag};

pub(crate) async fn prove(table: &mut Table) {
    let part = flag("part", "all".to_owned());
    let wanted = |name| ["all", name].contains(&&*part);
    if wanted("collapse") {
        collapse::prove(table).await;
    }
    if wanted("scope") {
        scope::prove(table).await;
    }
    if wanted("growth") {
        growth::prove(table).await;
    }
    if wanted("zipf") {
        zipf::prove(table);
    }
    if wanted("poison") {
        poison::prove(table).await;
    }
}

/// One route to this provider. Nothing is tried again and no breaker opens: each failure is the one that was made.
fn config(provider: SocketAddr, more: &str) -> String {
    format!(
        "{more}retry: {{ attempts: 1 }}\n\
         providers:\n  one:\n    base_url: http://{provider}/v1\n    breaker: off\n    keys: [{{ value: sk-of-the-pool, name: only }}]\n\
         routes:\n  - {{ path: /v1, targets: [one] }}\n"
    )
}

/// `GET /cache`.
async fn standing(admin: &mut Admin) -> Value {
    let (status, body) = admin.ask("GET", "/cache").await.expect("the admin listener answers");
    assert_eq!(status, 200, "/cache: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// How many replies are kept, and how many ever were.
async fn kept(admin: &mut Admin) -> (u64, u64) {
    let standing = standing(admin).await;
    let number = |name: &str| standing[name].as_u64().expect("a number");
    (number("entries"), number("stored"))
}
