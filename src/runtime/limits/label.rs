//! What the subjects of a limit are called, for operators.

use std::{fmt::Write, sync::Arc, time::Duration};

use super::{Caller, Rule};
use crate::{
    config::Per,
    policy::limits::{Check, State},
    types::{Moment, Subnet},
};

impl Rule {
    /// Notes whose check this was: it was refused, or has left little.
    #[cold]
    pub fn note(&self, check: &Check<'_>, caller: &Caller<'_>, now: Moment) {
        let (key, now) = (check.subject.key, Duration::from_nanos(now.nanos));
        let label = || self.label(check.state, caller);
        if check.outcome.is_over {
            self.record.turn_away(key, now, label);
        } else {
            self.record.near(key, now, label);
        }
    }

    /// What the caller is called where `state` counts it.
    #[must_use]
    pub fn label(&self, state: &Arc<State>, caller: &Caller<'_>) -> String {
        let around = self.around.iter().find(|around| Arc::ptr_eq(&around.state, state));
        let wider = around.zip(caller.ip).and_then(|(around, ip)| Subnet::from(ip).wider(around.prefix));
        if let Some(wider) = wider {
            return wider.to_string();
        }
        let mut label = String::new();
        for per in self.per.iter() {
            if !label.is_empty() {
                label.push_str(", ");
            }
            add(&mut label, *per, caller);
        }
        // A name, and above all that of a model, is what a client sent.
        label.retain(|letter| !letter.is_control());
        label
    }
}

/// Writing to a text can't fail.
fn add(label: &mut String, per: Per, caller: &Caller<'_>) {
    let _ = match (per, caller) {
        (Per::Ip, Caller { ip: Some(ip), .. }) | (Per::Client, Caller { name: None, holds_key: false, ip: Some(ip), .. }) => {
            write!(label, "{}", Subnet::from(*ip))
        }
        (Per::Client, Caller { name: Some(name), .. }) => write!(label, "{name}"),
        // Only its holder and the provider know the key; the same one has the same name as long as this process runs.
        (Per::Client, Caller { holds_key: true, client, .. }) => write!(label, "holder of a key {client:016x}"),
        (Per::Client, _) => write!(label, "this machine"),
        (Per::Tier, Caller { tier: Some(tier), .. }) => write!(label, "{tier}"),
        (Per::Region, Caller { region: Some(region), .. }) => write!(label, "{region}"),
        (Per::Model, Caller { model: Some(model), .. }) => write!(label, "{}", &model[..model.floor_char_boundary(128)]),
        (Per::Model, _) => write!(label, "a model that could not be read"),
        (Per::Session, Caller { session: Some(session), .. }) => write!(label, "session {session:016x}"),
        (Per::All, _) => write!(label, "all"),
        // Where a request lacks what is counted by, it is not counted.
        (Per::Ip | Per::Tier | Per::Region | Per::Session, _) => Ok(()),
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::runtime::{Limits, Registry};

    fn limits(per: &serde_json::Value) -> Limits {
        let limit = serde_json::from_value(json!({ "name": "a", "per": per, "requests": "9/min" })).unwrap();
        Limits::new(vec![limit], &Registry::default())
    }

    fn caller<'c>() -> Caller<'c> {
        let ip = Some([203, 0, 113, 7].into());
        Caller {
            name: None,
            client: 7,
            holds_key: false,
            tier: None,
            region: None,
            ip,
            subnet: None,
            group: 0,
            session: Some(255),
            model: None,
        }
    }

    fn label(per: &serde_json::Value, caller: &Caller<'_>) -> String {
        let limits = limits(per);
        limits.first.iter().chain(&limits.second).map(|rule| rule.label(&rule.state, caller)).collect()
    }

    #[test]
    fn a_subject_is_called_by_what_it_is_counted_by() {
        let tier = "free".parse().unwrap();
        let region = "eu".parse().unwrap();
        let named = Caller { name: Some("shop"), tier: Some(&tier), region: Some(&region), model: Some("gpt-4o"), ..caller() };
        for (per, name) in [
            (json!("ip"), "203.0.113.7"),
            (json!("client"), "shop"),
            (json!("tier"), "free"),
            (json!("region"), "eu"),
            (json!("model"), "gpt-4o"),
            (json!("session"), "session 00000000000000ff"),
            (json!("all"), "all"),
            (json!(["client", "model"]), "shop, gpt-4o"),
        ] {
            assert_eq!(label(&per, &named), name);
        }
    }

    #[test]
    fn a_stranger_is_called_by_its_key_or_its_address() {
        let client = json!("client");
        assert_eq!(label(&client, &caller()), "203.0.113.7");
        assert_eq!(label(&client, &Caller { holds_key: true, ..caller() }), "holder of a key 0000000000000007");
        assert_eq!(label(&client, &Caller { ip: None, ..caller() }), "this machine");
        assert_eq!(label(&json!("ip"), &Caller { ip: Some("2001:db8::7".parse().unwrap()), ..caller() }), "2001:db8::/64");
    }

    #[test]
    fn what_a_client_sent_breaks_no_line_and_is_cut() {
        let long = "ä\n".repeat(1_000);
        let label = label(&json!("model"), &Caller { model: Some(&long), ..caller() });
        assert!(label.len() < 128 && !label.contains('\n'), "{label}");
        assert_eq!(super::tests::label(&json!("model"), &caller()), "a model that could not be read");
    }
}
