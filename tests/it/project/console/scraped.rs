//! What the dashboard and the alerts ask for is what a running Sidegate tells: each label with each of the words.

use std::collections::BTreeSet;

use super::{alerts, dashboard, metric, selectors};
use crate::support::{Client, Provider, Script, Sidegate, tls::Authority};

const ANSWER: &str = r#"{"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":16,"completion_tokens":4,"total_tokens":20}}"#;

/// Everything on that has metrics of its own.
fn config(authority: &Authority) -> String {
    let (certificate, key) = authority.files("localhost");
    let identity = format!("certificate: {}, key: {}", certificate.display(), key.display());
    format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1, tls: {{ {identity} }} }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}], queue: {{ concurrent: 9, waiting: 9 }} }}
  certified: {{ base_url: "https://localhost/v1", keys: [{{ value: "$KEY" }}], tls: {{ {identity} }} }}
routes: [{{ path: /v1, targets: [scripted, certified] }}]
prices: {{}}
cache: {{}}
limits: [{{ name: all, per: all, requests: 100/min }}]
"#
    )
}

#[tokio::test]
async fn every_word_that_is_asked_for_is_said() {
    let (provider, authority) = (Provider::always(Script::json("200 OK", ANSWER)).await, Authority::new());
    let sidegate = Sidegate::start(&config(&authority), provider.address).await;
    let mut client = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
    client.post("/v1/chat/completions", r#"{"model":"gpt-4o","messages":[]}"#).await;
    assert_eq!(client.reply("POST").await.status(), 200);
    sidegate.log(1).await;
    let page = sidegate.ask_admin("/metrics").await.text();

    let (mut asked, mut missing) = (0, BTreeSet::new());
    let expressions = dashboard::all_expressions().into_iter().chain(alerts::all_expressions());
    for selector in expressions.flat_map(|expression| selectors(&expression)) {
        if metric(&selector.metric).is_none() {
            continue;
        }
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with(&format!("{}{{", selector.metric))).collect();
        // Codes and verdicts are there from their first on; `is_told` holds them against the code.
        let fixed = selector.matchers.iter().filter(|(label, _)| !matches!(label.as_str(), "job" | "code" | "verdict"));
        for (label, word) in fixed.flat_map(|(label, words)| words.iter().map(move |word| (label, word))) {
            asked += 1;
            if !lines.iter().any(|line| line.contains(&format!("{label}=\"{word}\""))) {
                missing.insert(format!("{}{{{label}=\"{word}\"}}", selector.metric));
            }
        }
    }
    assert_eq!(missing.into_iter().collect::<Vec<_>>(), [""; 0], "nothing says these: {page}");
    assert!(asked >= 50, "only {asked} words are asked for");
}
