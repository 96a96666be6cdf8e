//! What holds for every text: no panic, an answer either way, values that stay values.

use proptest::prelude::*;
use sidegate::config::{self, Environment};

use super::{environment, root};

/// Loads, or says at least one thing that is wrong, in a form that can be printed.
fn answers(text: &str) {
    match config::from_text("proxy.yaml", text, &environment()) {
        Ok(_) => {}
        Err(problems) => {
            assert!(problems.iter().len() > 0);
            assert!(problems.to_string().contains("error: "));
        }
    }
}

/// The example with a piece of it replaced by something else.
fn mutated() -> impl Strategy<Value = String> {
    let example = std::fs::read_to_string(root().join("proxy.yaml")).unwrap();
    let pieces = prop_oneof![
        any::<String>(),
        "[-:{}\\[\\],&*!|>'\"%@`#?$~\n\t ]{1,8}",
        prop::sample::select(vec!["${", "${X}", "$$", "null", "<<: *a", "&a", "*a", "- ", "\u{feff}", "\r", "日", "---\n", "0", "!!str "])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, pieces), 1..4).prop_map(move |edits| {
        let mut text: Vec<char> = example.chars().collect();
        for (at, length, piece) in edits {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, piece.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        answers(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_change_of_the_example_gets_an_answer(text in mutated()) {
        answers(&text);
    }

    #[test]
    fn a_variable_brings_its_value_and_nothing_else(value in any::<String>()) {
        let text = "providers: { openai: { base_url: http://x, keys: [{ value: k }] } }
routes: [{ path: /v1, models: ['${V}'], targets: [openai] }]";
        let loaded = config::from_text("proxy.yaml", text, &Environment::from([("V", value.as_str())]));
        if value.is_empty() {
            prop_assert!(loaded.is_err());
        } else {
            let config = loaded.unwrap().config;
            prop_assert_eq!(config.routes.len(), 1);
            prop_assert_eq!(config.routes[0].models[0].as_str(), value.as_str());
        }
    }

    #[test]
    fn no_error_shows_what_a_variable_brought(secret in "[a-z]{5}[0-9]{4}[a-z]{4}; [A-Z]{3}") {
        let environment = Environment::from([("S", secret.as_str())]);
        for field in ["listen: { address: '${S}' }", "listen: { keep_alive: a${S}b }", "providers: { x: { dialect: '${S}', base_url: '${S}' } }",
            "routes: [{ path: '${S}', targets: ['${S}', { provider: '${S}' }] }]", "clients: { anonymous: '${S}' }", "trust: { proxies: ['${S}'] }",
            "providers: { x: { keys: [{ value: '${S}' }, { env: '${S}' }, { file: '${S}' }, { dir: '${S}' }, { weight: '${S}' }] } }"] {
            let problems = config::from_text("proxy.yaml", field, &environment).unwrap_err().to_string();
            let (head, tail) = secret.split_once("; ").unwrap();
            prop_assert!(!problems.contains(head) && !problems.contains(tail), "{}", problems);
        }
    }
}
