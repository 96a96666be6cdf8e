use proptest::prelude::*;

use super::*;
use crate::types::{LongPrice, Money, Usage};

fn section(yaml: &str) -> config::Prices {
    serde_yaml::from_str(yaml).unwrap()
}

fn list(yaml: &str) -> PriceList {
    serde_yaml::from_str(yaml).unwrap()
}

fn tariff(yaml: &str, dialect: Dialect, host: &str) -> Tariff {
    Arc::new(Prices::new(Some(&section(yaml)), None, false)).of_provider(dialect, host).unwrap()
}

/// What a million tokens of the prompt cost.
fn input(price: Option<Price>) -> Option<String> {
    price.map(|price| price.input.to_string())
}

const NOWHERE: &str = "127.0.0.1";

#[test]
fn nothing_is_read_where_nobody_asks() {
    let none = Arc::new(Prices::new(None, None, false));
    assert!(!none.is_used() && none.of_provider(Dialect::Openai, "api.openai.com").is_none());
    let needed = Arc::new(Prices::new(None, None, true));
    assert_eq!(input(needed.of_provider(Dialect::Openai, "api.openai.com").unwrap().of("gpt-4o")).as_deref(), Some("2.5"));
}

#[test]
fn a_model_is_found_by_its_name_its_snapshots_and_with_a_vendor_before_it() {
    for (host, model, price) in [
        ("api.openai.com", "gpt-4o", Some("2.5")),
        ("API.openai.com", "gpt-4o-2024-08-06", Some("2.5")),
        ("api.openai.com", "gpt-4o-2024-05-13", Some("5")),
        ("api.openai.com", "gpt-4o-audio-preview", None),
        ("api.openai.com", "openai/gpt-4o", Some("2.5")),
        ("api.openai.com", "omni-moderation-latest", Some("0")),
        ("api.groq.com", "openai/gpt-oss-120b", Some("0.15")),
        ("api.groq.com", "gpt-4o", None),
        ("api.groq.com", "openai/gpt-4o", None),
        (NOWHERE, "openai/gpt-4o", Some("2.5")),
        (NOWHERE, "gpt-4o", Some("2.5")),
        (NOWHERE, "anthropic/claude-sonnet-4.5", Some("3")),
        (NOWHERE, "anthropic/claude-sonnet-4-5-20250929", Some("3")),
        (NOWHERE, "google/gemini-2.5-flash", Some("0.3")),
        (NOWHERE, "anthropic/gpt-4o", None),
        (NOWHERE, "mine", None),
        (NOWHERE, "", None),
        (NOWHERE, "/", None),
    ] {
        assert_eq!(input(tariff("{}", Dialect::Openai, host).of(model)).as_deref(), price, "{model} at {host}");
    }
    assert_eq!(tariff("models: { '*': { input: 1, output: 1 } }", Dialect::Openai, NOWHERE).of(&"x".repeat(1_000_000)), None);
}

#[test]
fn the_config_comes_before_the_file_and_that_before_the_list() {
    let own = section(
        "models: { 'gpt-*': { input: 7, output: 7 }, 'gpt-4*': { input: 8, output: 8 }, gpt-4o: { input: 9, output: 9 }, mine: { input: 6, output: 6 } }",
    );
    let file = list(
        "{ providers: { openai: { models: { gpt-4o: { input: 1, output: 1 }, o3: { input: 2, output: 2 } } }, own: { hosts: [ai.internal], models: { m: { input: 3, output: 3 } } } },
           models: { o4-mini: { input: 4, output: 4 } } }",
    );
    let prices = Arc::new(Prices::new(Some(&own), Some(file), false));
    for (host, model, price) in [
        ("api.openai.com", "gpt-4o", Some("9")),
        ("api.openai.com", "gpt-4o-2024-08-06", Some("9")),
        ("api.openai.com", "gpt-4.1", Some("8")),
        ("api.openai.com", "gpt-5", Some("7")),
        ("api.openai.com", "o3", Some("2")),
        ("api.openai.com", "o4-mini", Some("4")),
        ("api.openai.com", "o1", Some("15")),
        ("ai.internal", "m", Some("3")),
        ("ai.internal", "o3", None),
        (NOWHERE, "reseller/mine", Some("6")),
    ] {
        let tariff = prices.of_provider(Dialect::Openai, host).unwrap();
        assert_eq!(input(tariff.of(model)).as_deref(), price, "{model} at {host}");
    }
}

#[test]
fn an_unknown_model_costs_what_the_rule_says_and_is_marked() {
    let priced = |yaml: &str, dialect, host, model| {
        tariff(yaml, dialect, host).price(model).map(|priced| (priced.price.output.to_string(), priced.known))
    };
    let is = |price: &str, known| Some((price.to_owned(), known));
    assert_eq!(priced("{}", Dialect::Openai, NOWHERE, Some("gpt-4o")), is("10", true));
    for (dialect, host, dearest) in [
        (Dialect::Openai, NOWHERE, "180"),
        (Dialect::Azure, "mine.openai.azure.com", "180"),
        (Dialect::Anthropic, NOWHERE, "75"),
        (Dialect::Gemini, NOWHERE, "12"),
        (Dialect::Openai, "api.groq.com", "0.79"),
    ] {
        assert_eq!(priced("{}", dialect, host, Some("mine")), is(dearest, false), "{dialect:?} at {host}");
        assert_eq!(priced("{}", dialect, host, None), is(dearest, false), "{dialect:?} at {host}");
    }
    assert_eq!(priced("unknown: free", Dialect::Openai, NOWHERE, Some("mine")), is("0", false));
    assert_eq!(priced("unknown: deny", Dialect::Openai, NOWHERE, Some("mine")), None);
    assert_eq!(priced("unknown: deny", Dialect::Openai, NOWHERE, Some("gpt-4o")), is("10", true));
    assert_eq!(priced("unknown: { input: 1, output: 2 }", Dialect::Openai, NOWHERE, Some("mine")), is("2", false));
}

#[test]
fn a_request_holds_enough_for_the_dearest_of_its_targets() {
    let prices = Arc::new(Prices::new(Some(&section("unknown: deny")), None, false));
    let at = |host| prices.of_provider(Dialect::Openai, host).unwrap();
    let targets = [at("api.openai.com"), at(NOWHERE), at("api.groq.com")];
    let held = |targets: &[Tariff], model| reserve(targets, Some(model), 1_000, 100).map(|held| held.to_string());
    assert_eq!(held(&targets[..2], "gpt-4o").as_deref(), Some("0.0035"));
    assert_eq!(held(&targets, "gpt-4o"), None, "the third has no such model");
    assert_eq!(held(&[], "gpt-4o").as_deref(), Some("0"));
    let own = |price: u64| tariff(&format!("models: {{ m: {{ input: {price}, output: {price} }} }}"), Dialect::Openai, NOWHERE);
    assert_eq!(held(&[own(2), own(3), own(1)], "m").as_deref(), Some("0.0033"));
}

#[test]
fn each_kind_of_token_has_its_price() {
    let price = tariff("{}", Dialect::Anthropic, NOWHERE).of("claude-haiku-5-5").unwrap();
    let usage = |input: u64| Usage {
        input: Some(input),
        output: Some(1_000),
        cached: Some(20_000),
        stored: Some(30_000),
        stored_long: Some(10_000),
        reasoning: Some(400),
    };
    // By hand: 50,000 at 0.10, 20,000 at 0.01, 20,000 at 0.125, 10,000 at 0.20, and 1,000 at 0.50.
    assert_eq!(price.cost(&usage(100_000)).to_string(), "0.0102");
    // One token more, and all costs five times as much.
    assert_eq!(price.cost(&usage(100_001)).to_string(), "0.0510005");
    let thinking = Price { output: "2".parse().unwrap(), reasoning: "5".parse().ok(), ..Price::default() };
    assert_eq!(thinking.cost(&usage(0)).to_string(), "0.0032");
    let embedding = tariff("{}", Dialect::Openai, NOWHERE).of("text-embedding-3-small").unwrap();
    assert_eq!(embedding.cost(&Usage { input: Some(7), ..Usage::default() }).to_string(), "0.00000014");
    assert_eq!(price.cost(&Usage::default()), Money(0));
}

fn any_price() -> impl Strategy<Value = Price> {
    let part = || (0..=100_000_000_000_u64).prop_map(|micros| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).parse().unwrap());
    let long = (0..2_000_u64, part(), part(), proptest::option::of(part())).prop_map(|(above, input, output, cached)| LongPrice {
        above,
        input,
        output,
        cached,
        ..LongPrice::default()
    });
    (part(), part(), proptest::array::uniform4(proptest::option::of(part())), proptest::option::of(long)).prop_map(
        |(input, output, [cached, stored, stored_long, reasoning], long)| Price {
            input,
            output,
            cached,
            stored,
            stored_long,
            reasoning,
            long,
        },
    )
}

fn any_usage(most: u64) -> impl Strategy<Value = Usage> {
    proptest::array::uniform6(proptest::option::of(0..=most)).prop_map(|[input, output, cached, stored, stored_long, reasoning]| Usage {
        input,
        output,
        cached,
        stored,
        stored_long,
        reasoning,
    })
}

/// Tokens of six kinds, none of which is part of another: plain, cached, stored, stored for long, shown, thought.
fn any_counts() -> impl Strategy<Value = [u64; 6]> {
    proptest::array::uniform6(0..5_000_u64)
}

/// How a reply tells them.
fn told([plain, cached, stored, stored_long, shown, thought]: [u64; 6]) -> Usage {
    Usage {
        input: Some(plain + cached + stored + stored_long),
        output: Some(shown + thought),
        cached: Some(cached),
        stored: Some(stored + stored_long),
        stored_long: Some(stored_long),
        reasoning: Some(thought),
    }
}

/// The dearest token of a price, in pico-dollars.
fn dearest_token(price: &Price) -> u128 {
    let long = price.long.map(|long| long.price()).unwrap_or_default();
    let parts = |price: &Price| [Some(price.input), Some(price.output), price.cached, price.stored, price.stored_long, price.reasoning];
    parts(price).into_iter().chain(parts(&long)).flatten().map(|part| u128::from(part.of(1).0)).max().unwrap()
}

proptest! {
    #[test]
    fn no_usage_overflows_and_none_costs_more_than_all_its_tokens_at_the_dearest(price in any_price(), usage in any_usage(u64::MAX)) {
        let tokens = u128::from(usage.input.unwrap_or(0)) + u128::from(usage.output.unwrap_or(0));
        prop_assert!(u128::from(price.cost(&usage).0) <= (tokens * dearest_token(&price)).min(u64::MAX.into()));
    }

    #[test]
    fn more_tokens_never_cost_less(price in any_price(), counts in any_counts(), more in any_counts()) {
        let price = Price { long: None, ..price };
        let longer = price.cost(&told(std::array::from_fn(|part| counts[part] + more[part])));
        prop_assert!(price.cost(&told(counts)) <= longer);
        prop_assert!(price.reserve(more[0], 0) <= price.reserve(more[0], more[1]));
    }

    #[test]
    fn two_requests_cost_what_they_cost_together(price in any_price(), one in any_counts(), other in any_counts()) {
        let price = Price { long: None, ..price };
        let both = price.cost(&told(std::array::from_fn(|part| one[part] + other[part])));
        prop_assert_eq!(price.cost(&told(one)).plus(price.cost(&told(other))), both);
    }

    #[test]
    fn no_name_makes_a_look_up_panic(model in any::<String>()) {
        let _ = tariff("models: { 'a*b': { input: 1, output: 1 } }", Dialect::Openai, NOWHERE).price(Some(&model));
    }
}
