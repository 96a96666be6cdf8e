//! The config from the outside: what loads, what is refused and in which words.

mod broken;
mod cache;
mod damage;
mod docs;
mod keys;
mod properties;
mod resilience;

use std::path::{Path, PathBuf};

use sidegate::{
    config::{self, Environment, Loaded, Problems},
    types::Address,
};

/// The top of the source tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An environment in which every example loads.
fn environment() -> Environment {
    let numbered = |kind: &str, keys: usize| {
        let named = |number: usize| if number == 1 { format!("OPENAI_KEY_{kind}") } else { format!("OPENAI_KEY_{kind}_{number}") };
        (1..=keys).map(|number| (named(number), format!("sk-{kind}-{number}"))).collect::<Vec<_>>()
    };
    let pool = [("LARGE", 2), ("MEDIUM", 3), ("SMALL", 6), ("TRIAL", 6)].into_iter().flat_map(|(kind, keys)| numbered(kind, keys));
    let named = [
        ("OPENAI_API_KEY", "sk-first-0123456789"),
        ("OPENAI_API_KEY_2", "sk-second-0123456789"),
        ("ANTHROPIC_API_KEY", "sk-ant-0123456789"),
        ("AZURE_OPENAI_API_KEY", "0123456789abcdef0123456789abcdef"),
        ("AZURE_RESOURCE", "my-resource"),
        ("RESEARCH_KEY", "sk-research-0123456789"),
        ("SECRETS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/secrets")),
        ("ADMIN_TOKEN", "token-0123456789"),
        ("BLANK", ""),
        ("SPACED", "sk-with blank"),
        ("WEIGHT", "0.2"),
        ("TRICKY", "sk-a: [b\n- c: {d"),
        ("MASTER_KEY", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        ("MASTER_KEY_OLD", "ERERERERERERERERERERERERERERERERERERERERERE="),
        ("SHORT_MASTER_KEY", "0123456789abcdef"),
        ("SEALED", "sealed:2026-11:AZDBv01vxuqDFoHZPH_nw8CdTBI70qoM2PyudQMpWU3N2CxUTnXzxcDyGvLCQk_t6EFA2g"),
    ];
    let named = named.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pool.chain(named).collect()
}

fn load(text: &str) -> Result<Loaded, Problems> {
    config::from_text("proxy.yaml", text, &environment())
}

fn problems(text: &str) -> String {
    load(text).expect_err("it must be refused").to_string()
}

/// A config that is fine but for what `rest` says.
fn with(rest: &str) -> String {
    format!("{rest}\nproviders: {{ openai: {{ keys: [{{ env: OPENAI_API_KEY }}] }} }}\nroutes: [{{ path: /v1, targets: [openai] }}]\n")
}

#[test]
fn every_example_loads() {
    let folder = |name: &str| std::fs::read_dir(root().join(name)).unwrap().map(|entry| entry.unwrap().path());
    let folders = ["examples/config", "examples/limits", "examples/resilience", "examples/cache"];
    let mut files: Vec<PathBuf> = folders.into_iter().flat_map(folder).collect();
    files.push(root().join("proxy.yaml"));
    assert!(files.len() >= 17, "{files:?}");
    for file in files {
        let loaded = config::load(&file, &environment()).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.files.first(), Some(&file));
    }
}

#[test]
fn without_a_file_the_key_of_openai_is_enough() {
    let loaded = config::from_environment(&environment()).unwrap();
    assert_eq!(loaded.to_string(), "1 provider, 2 keys, 1 route");
    assert_eq!(loaded.config.listen.address.to_string(), "127.0.0.1:8080");

    let refused = config::from_environment(&Environment::default()).unwrap_err().to_string();
    assert!(refused.contains("set `OPENAI_API_KEY`, or write `proxy.yaml`"), "{refused}");
}

#[test]
fn what_an_expression_brings_is_a_value_and_never_structure() {
    let loaded = load(
        "listen: { address: 'unix:${TRICKY}' }
body: { max: '${UNSET:-5MiB}' }
providers:
  openai:
    keys: [{ env: OPENAI_API_KEY, weight: '${WEIGHT}', name: $$x, account: '${BLANK:-a}' }]
routes: [{ path: /v1, targets: [openai] }]",
    );
    let Loaded { config, keys, .. } = loaded.unwrap();
    assert_eq!(config.listen.address, Address::Unix("sk-a: [b\n- c: {d".into()));
    assert_eq!(config.body.max.map(|size| size.to_string()).as_deref(), Some("5MiB"));
    let key = keys.values().next().and_then(|keys| keys.first()).unwrap();
    assert_eq!((key.weight, key.name.as_str(), key.account.as_deref()), (0.2, "$x", Some("a")));
}

#[test]
fn a_section_whose_fields_are_commented_out_is_left_out() {
    let loaded = load(&with("listen:\n  # address: x\ntrust:\nclients:")).unwrap();
    assert_eq!(loaded.config, load(&with("")).unwrap().config);
}

#[test]
fn an_alias_repeats_a_value() {
    let text = "providers:
  a: { base_url: http://a, keys: [{ env: OPENAI_API_KEY }], timeouts: &slow { idle: 9m } }
  b: { base_url: http://b, keys: [{ env: OPENAI_API_KEY }], timeouts: *slow }
routes: [{ path: /v1, targets: [a, b] }]";
    let config = load(text).unwrap().config;
    assert!(config.providers.values().all(|provider| provider.timeouts.idle.to_string() == "9m"));
}

#[test]
fn all_mistakes_show_in_one_run_and_none_that_only_follows_from_another() {
    let text = "listen: { adress: 1.2.3.4:1, keep_alive: 0s }
providers:
  openai: { dialect: opanai, keys: [{ value: '${UNSET}' }] }
routes: [{ path: v1, targets: [openai, open] }, { targets: [openai] }]
clients: { keys: [{ name: web, tier: x, sha256: 12 }] }";
    let found = load(text).unwrap_err();
    let fields: Vec<_> = found.iter().map(|problem| problem.field()).collect();
    let expected = [
        "listen.adress",
        "listen.keep_alive",
        "providers.openai.dialect",
        "providers.openai.keys[0].value",
        "routes[0].path",
        "routes[0].targets[1]",
        "routes[1]",
        "clients.keys[0].sha256",
    ];
    assert_eq!(fields, expected, "{found}");
}

#[test]
fn a_mistyped_section_is_not_missing_too() {
    for (text, field) in [("provider: {}\nroutes: [{ path: /, targets: [x] }]", "provider"), ("rotes: []\nproviders: { x: {} }", "rotes")] {
        let found = load(text).unwrap_err();
        assert_eq!(found.iter().map(|problem| problem.field()).collect::<Vec<_>>(), [field], "{found}");
    }
}

#[test]
fn what_is_no_config_at_all_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("proxy.yaml");
    let refused = || config::load(&file, &environment()).unwrap_err().to_string();
    assert!(refused().contains("there is no such file"), "{}", refused());

    let garbage: Vec<u8> = (0..10_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (bytes, words) in [
        (garbage.as_slice(), "larger than 1024 KiB"),
        (&garbage[..1 << 20], "not UTF-8"),
        (b"listen: { }\nx: \xff\n".as_slice(), "proxy.yaml:2:4"),
        (b"\xff\xfea\0".as_slice(), "UTF-16"),
        (b"".as_slice(), "the config is empty"),
        (b"a: \0".as_slice(), "this is no YAML"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        assert!(refused().contains(words), "{words}: {}", refused());
    }
    let directory = config::load(directory.path(), &environment()).unwrap_err().to_string();
    assert!(directory.contains("it is a directory"), "{directory}");
}

#[test]
fn a_file_made_to_exhaust_memory_is_refused() {
    let bomb: String = ('b'..='j').fold("a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, name| {
        let before = char::from(name as u8 - 1);
        format!("{text}{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(", "))
    });
    assert!(bomb.len() < 600);
    assert!(problems(&bomb).contains("aliases"), "{}", problems(&bomb));
    assert!(problems(&"[".repeat(100_000)).contains("nested deeper"));
    assert!(problems(&"- x\n".repeat(200_000)).contains("more than 100000 values"));
    assert!(problems(&"? ".repeat(100_000)).contains("error"));
    assert!(problems("a: &a [*a]").contains("inside of what it stands for"));
}

#[test]
fn a_listener_needs_a_certificate_with_its_own_key() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    for (name, pem) in
        [("chain.pem", first.cert.pem()), ("key.pem", first.signing_key.serialize_pem()), ("other.pem", second.signing_key.serialize_pem())]
    {
        std::fs::write(directory.path().join(name), pem).unwrap();
    }
    let file = directory.path().join("proxy.yaml");
    let with_key = |key: &str| {
        std::fs::write(&file, with(&format!("listen: {{ tls: {{ certificate: chain.pem, key: {key} }} }}"))).unwrap();
        config::load(&file, &environment())
    };
    assert_eq!(with_key("key.pem").unwrap().config.listen.tls.unwrap().key, directory.path().join("key.pem"));
    for (key, words) in [("other.pem", "can't be used together"), ("chain.pem", "holds no private key"), ("none.pem", "no such file")] {
        let refused = with_key(key).unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains("field: listen.tls.key"), "{words}: {refused}");
    }
}

#[test]
fn an_open_listener_with_an_empty_clients_section_is_refused() {
    let refused = problems(&with("listen: { address: 0.0.0.0:80 }\nclients:\n  # anonymous: free"));
    assert!(refused.contains("nothing says who may call"), "{refused}");
}

#[test]
fn very_many_keys_and_routes_load_and_one_mistake_among_them_is_one_error() {
    let keys: String = (0..3_000).map(|i| format!("  - {{ value: key{i} }}\n")).collect();
    let routes: String = (0..1_000).map(|i| format!("- {{ path: /{i}, targets: [openai] }}\n")).collect();
    let rest = format!("providers:\n openai:\n  keys:\n{keys}routes:\n{routes}");
    assert_eq!(load(&rest).unwrap().to_string(), "1 provider, 3000 keys, 1000 routes");
    assert_eq!(load(&format!("listn: {{}}\n{rest}")).unwrap_err().iter().len(), 1);
}

#[test]
fn very_many_mistakes_are_cut_to_a_hundred() {
    let many: String = (0..5_000).map(|i| format!("x{i}: 1\n")).collect();
    assert!(problems(&many).ends_with("100 errors in proxy.yaml, and there may be more"));
    let twice: String = (0..50_000).map(|_| "x: 1\n").collect();
    assert!(problems(&twice).contains("written twice"));
}

#[test]
fn with_a_required_end_no_beginning_of_a_file_is_a_config() {
    let whole = format!("require_end: true\n{}...\n", std::fs::read_to_string(root().join("proxy.yaml")).unwrap());
    assert!(load(&whole).is_ok(), "{}", problems(&whole));
    let beginnings = (0..whole.len()).filter(|end| whole.is_char_boundary(*end));
    let taken: Vec<_> = beginnings.filter(|end| load(&whole[..*end]).is_ok()).collect();
    assert_eq!(taken, [0; 0]);
    let with_crlf = whole.replace('\n', "\r\n");
    assert!(load(&with_crlf).is_ok() && load(with_crlf.trim_end_matches('\n')).is_err());
    assert!(load(&whole.replace("require_end: true", "require_end: false")).is_ok());
}
