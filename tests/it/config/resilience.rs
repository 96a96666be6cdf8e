//! Breakers, queues, retries, quotas and targets: what they are when nothing is said, and what of them is read.

use std::{collections::BTreeMap, time::Duration};

use sidegate::config::{self, Affinity, Ambiguous, Breaker, BreakerChoice, Condition, Loaded, Order, Queue, Retry};

use super::{environment, load, root, with};

fn loaded(text: &str) -> Loaded {
    load(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The only provider's breaker, with these words for it.
fn breaker(words: &str) -> BreakerChoice {
    let text =
        format!("providers: {{ openai: {{ keys: [{{ env: OPENAI_API_KEY }}]{words} }} }}\nroutes: [{{ path: /v1, targets: [openai] }}]\n");
    loaded(&text).config.providers.into_values().next().unwrap().breaker
}

#[test]
fn a_config_that_says_nothing_has_a_breaker_and_retries_and_no_queue() {
    let config = loaded(&with("")).config;
    let Retry { attempts, budget, floor, ambiguous, within } = config.retry;
    assert_eq!((attempts.get(), budget.to_string().as_str(), floor), (3, "20%", 3));
    assert_eq!((ambiguous, within.0), (Ambiguous::Never, Duration::from_secs(60)));

    let provider = config.providers.into_values().next().unwrap();
    let Breaker { error_rate, window, minimum, consecutive, open, slow } = provider.breaker.numbers().unwrap().clone();
    assert_eq!((error_rate.to_string().as_str(), window.0), ("50%", Duration::from_secs(10)));
    assert_eq!((minimum.get(), consecutive.get(), open.0, slow), (20, 5, Duration::from_secs(30), None));
    assert_eq!((provider.affinity, provider.queue), (Affinity::None, None));

    let route = &config.routes[0];
    assert_eq!((route.order, &route.last_resort), (Order::Given, &None));
}

#[test]
fn a_breaker_is_off_or_keeps_what_is_not_said() {
    assert_eq!(breaker(", breaker: off").numbers(), None);
    assert_eq!(breaker(", breaker:"), BreakerChoice::default(), "all its fields are commented out");
    let expected = Breaker { open: "1m".parse().unwrap(), slow: Some("20s".parse().unwrap()), ..Breaker::default() };
    assert_eq!(breaker(", breaker: { open: 1m, slow: 20s }"), BreakerChoice::On(expected));
}

#[test]
fn a_queue_needs_only_its_width() {
    let text = "providers: { a: { base_url: http://a, keys: [{ env: OPENAI_API_KEY }], queue: { concurrent: 20 } } }
routes: [{ path: /v1, targets: [a] }]";
    let Queue { concurrent, waiting, timeout } = loaded(text).config.providers.into_values().next().unwrap().queue.unwrap();
    assert_eq!((concurrent.get(), waiting, timeout.0), (20, 1_000, Duration::from_secs(300)));
}

#[test]
fn a_target_takes_over_for_all_but_a_prompt_that_is_too_long_unless_it_says_otherwise() {
    let text = "providers:
  a: { base_url: http://a, keys: [{ env: OPENAI_API_KEY }] }
  b: { base_url: http://b, keys: [{ env: OPENAI_API_KEY }] }
  c: { base_url: http://c, keys: [{ env: OPENAI_API_KEY }] }
routes: [{ path: /v1, models: [gpt-*], targets: [a, b, { provider: c, model: long, when: context_length }, { provider: a, model: x, when: [open, timeout] }] }]";
    let targets = loaded(text).config.routes.remove(0).targets;
    let takes_over = |at: usize| Condition::ALL.into_iter().filter(|condition| targets[at].takes_over(*condition)).collect::<Vec<_>>();
    assert_eq!(takes_over(1), Condition::ALL[..5]);
    assert_eq!(takes_over(2), [Condition::ContextLength]);
    assert_eq!(takes_over(3), [Condition::Open, Condition::Timeout]);
    assert_eq!(targets[1].model, None);
    assert_eq!(targets[2].model.as_deref(), Some("long"));
}

#[test]
fn the_keys_of_an_account_share_what_one_of_them_says() {
    let text = "providers:
  openai:
    keys:
      - { env: OPENAI_API_KEY, account: a }
      - { env: OPENAI_API_KEY_2, account: a, requests: 500/min, tokens: 10000/day }
      - { env: RESEARCH_KEY }
routes: [{ path: /v1, targets: [openai] }]";
    let keys = loaded(text).keys.into_values().next().unwrap();
    let quotas: Vec<_> = keys.iter().map(|key| [key.requests, key.tokens].map(|rate| rate.map(|rate| rate.to_string()))).collect();
    let shared = [Some("500/min".to_owned()), Some("10k/day".to_owned())];
    assert_eq!(quotas, [shared.clone(), shared, [None, None]]);
}

#[test]
fn what_may_bring_more_keys_may_have_an_affinity_with_one() {
    let text = "providers: { openai: { affinity: prompt, keys: [{ env: RESEARCH_KEY* }] } }\nroutes: [{ path: /v1, targets: [openai] }]";
    assert_eq!(loaded(text).config.providers.into_values().next().unwrap().affinity, Affinity::Prompt);
}

#[test]
fn the_cheapest_target_is_known_by_the_list_that_is_built_in_or_by_the_config() {
    let text = |model: &str, prices: &str| {
        format!(
            "providers:
  a: {{ base_url: http://a, keys: [{{ env: OPENAI_API_KEY }}] }}
  b: {{ base_url: http://b, keys: [{{ env: OPENAI_API_KEY }}] }}
routes: [{{ path: /v1, models: [gpt-*], order: cheapest, targets: [a, {{ provider: b, model: {model} }}] }}]
{prices}"
        )
    };
    for known in ["gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o"] {
        loaded(&text(known, ""));
    }
    loaded(&text("own", "prices: { models: { own: { input: 1, output: 2 } } }"));
    loaded(&text("own", "prices: { unknown: free }"));
    assert!(load(&text("own", "prices: { unknown: deny }")).is_err());
}

#[test]
fn the_example_of_a_large_pool_has_seventeen_keys_with_the_quotas_that_it_speaks_of() {
    let loaded = config::load(&root().join("examples/resilience/pool-of-17-keys.yaml"), &environment());
    let keys = loaded.unwrap_or_else(|problems| panic!("{problems}")).keys.into_values().next().unwrap();
    let mut by_quota: BTreeMap<u64, usize> = BTreeMap::new();
    for key in &keys {
        *by_quota.entry(key.requests.unwrap().amount.get()).or_default() += 1;
        assert!(key.tokens.is_some() && key.account.is_none(), "{}", key.name);
    }
    assert_eq!(by_quota.into_iter().collect::<Vec<_>>(), [(60, 6), (500, 6), (3_000, 3), (10_000, 2)]);
    let all: u64 = keys.iter().map(|key| key.requests.unwrap().amount.get()).sum();
    assert_eq!(all, 32_360);
}
