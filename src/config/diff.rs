//! What changes from one config to the next, and what of that a running process can't follow.

use serde_json::Value;

use super::Loaded;

/// The fields that hold from start to end: sockets that are bound, threads that run, and what is made with them. A reload
/// that changes one of them is refused as a whole.
pub const RESTART: &[&str] = &["admin.address", "dns", "listen.address", "listen.connections", "listen.tls", "listen.workers"];

/// The most fields that are named.
const MOST: usize = 64;

/// The fields that differ, as paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// All of them; a list counts as one field.
    pub changed: Vec<String>,
    /// Those that need a restart.
    pub restart: Vec<String>,
}

impl Diff {
    /// From `old` to `new`.
    #[must_use]
    pub fn between(old: &Loaded, new: &Loaded) -> Self {
        let mut changed = Vec::new();
        let value = |loaded: &Loaded| serde_json::to_value(&loaded.config).unwrap_or_default();
        compare(&value(old), &value(new), String::new(), &mut changed);
        // Keys print as `[secret]`, and most stand in files.
        for name in new.config.providers.keys().filter(|name| old.config.providers.contains_key(*name)) {
            let path = format!("providers.{name}.keys");
            if old.keys.get(name) != new.keys.get(name) && !changed.contains(&path) {
                changed.push(path);
            }
            let path = format!("providers.{name}.proxy");
            if old.proxies.get(name) != new.proxies.get(name) && !changed.contains(&path) {
                changed.push(path);
            }
        }
        let restart = changed.iter().filter(|path| needs_restart(path)).cloned().collect();
        changed.truncate(MOST);
        Self { changed, restart }
    }
}

fn needs_restart(path: &str) -> bool {
    RESTART.iter().any(|field| path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn compare(old: &Value, new: &Value, path: String, changed: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null), path, changed);
            }
        }
        (old, new) if old != new => changed.push(path),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, from_text};

    const BASE: &str = "
providers:
  one: { base_url: 'http://127.0.0.1:1/v1', keys: [{ name: a, value: key-a }] }
routes: [{ path: /v1, targets: [one] }]
";

    fn between(old: &str, new: &str) -> Diff {
        let load = |text: &str| from_text("test", text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
        Diff::between(&load(old), &load(new))
    }

    #[test]
    fn each_field_that_differs_is_named() {
        assert_eq!(between(BASE, BASE), Diff::default());
        let changed = |from: &str, to: &str| between(BASE, &BASE.replace(from, to)).changed;
        assert_eq!(changed("key-a", "key-b"), ["providers.one.keys"], "a secret that prints as another");
        assert_eq!(changed("keys:", "timeouts: { connect: 4s }, keys:"), ["providers.one.timeouts.connect"]);
        assert_eq!(changed("/v1, targets", "/v2, targets"), ["routes"]);
        let both =
            changed("routes:", "  two: { base_url: 'http://127.0.0.1:2/v1', keys: [{ value: key-b }] }\nannotate: { key: false }\nroutes:");
        assert_eq!(both, ["annotate.key", "providers.two"]);
    }

    #[test]
    fn what_a_process_is_started_with_needs_a_restart() {
        let restart = |more: &str| between(BASE, &format!("{more}{BASE}")).restart;
        assert_eq!(restart("listen: { address: '127.0.0.1:9', workers: 3, keep_alive: 5s }\n"), ["listen.address", "listen.workers"]);
        assert_eq!(restart("dns: { min_ttl: 1s }\n"), ["dns.min_ttl"]);
        assert!(restart("listen: { keep_alive: 5s, max_headers: 7 }\nbody: { buffer: 1MiB }\n").is_empty());
    }

    #[test]
    fn every_field_that_needs_a_restart_is_a_field() {
        let schema = serde_json::to_value(crate::config::schema()).unwrap().to_string();
        for field in RESTART {
            assert!(schema.contains(&format!("\"{}\":", field.rsplit('.').next().unwrap())), "{field}");
        }
    }
}
