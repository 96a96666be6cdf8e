//! What changes from one config to the next, and what of that a running process can't follow.

use serde_json::Value;

use super::Loaded;

/// The fields that hold from start to end: sockets that are bound, threads that run, and what is made with them. A reload
/// that changes one of them is refused as a whole.
pub const RESTART: &[&str] =
    &["admin.address", "dns", "listen.address", "listen.connections", "listen.tls", "listen.workers", "log.format"];

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
        // Secrets print alike, and most keys stand in files.
        let token = "admin.token".to_owned();
        if old.config.admin.token != new.config.admin.token && !changed.contains(&token) {
            changed.push(token);
        }
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
        let prices = "prices.file".to_owned();
        if old.prices != new.prices && !changed.contains(&prices) {
            changed.push(prices);
        }
        if old.jwt != new.jwt && !changed.iter().any(|path| path.starts_with("clients.jwt")) {
            changed.push("clients.jwt".to_owned());
        }
        if old.config.trace != new.config.trace && !changed.iter().any(|path| path.starts_with("trace")) {
            changed.push("trace.otlp.headers".to_owned());
        }
        let restart = changed.iter().filter(|path| needs_restart(path)).cloned().collect();
        changed.truncate(MOST);
        Self { changed, restart }
    }
}

/// Whether a running process can't follow a change of this field.
#[must_use]
pub fn needs_restart(path: &str) -> bool {
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
mod tests;
