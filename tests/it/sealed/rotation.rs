//! One master key takes over from another, step by step as `docs/keys.md` tells it, with every step in force.

use std::{fs, path::Path};

use sidegate::{
    config::{self, Environment, Problems},
    runtime::reload::Outcome,
};

use super::{CANARY, command::sidegate, opened, secrets};
use crate::support::{Client, Provider, Script, Sidegate};

/// A folder in which an operator works.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the config: these master keys, each in a file named after its id, and these sealed keys.
    fn write(&self, provider: &str, masters: &[&str], keys: &[&str]) {
        let masters: String = masters.iter().map(|id| format!("    - {{ id: {id}, file: {id} }}\n")).collect();
        let keys: String = keys.iter().map(|key| format!("      - value: {}\n", key.trim_end())).collect();
        let text = format!(
            "listen: {{ address: '127.0.0.1:0', workers: 1 }}\nadmin: {{ address: '127.0.0.1:0' }}\nsealing:\n  keys:\n{masters}providers:\n  \
             scripted:\n    base_url: http://{provider}/v1\n    keys:\n{keys}routes: [{{ path: /v1, targets: [scripted] }}]\n"
        );
        fs::write(self.path().join("proxy.yaml"), text).unwrap();
    }

    fn master(&self, id: &str) {
        assert!(sidegate(self.path(), &["key", "master", id], "").status.success());
    }

    /// What `sidegate key seal` prints, with the config's first master key.
    fn seal(&self, secret: &str) -> String {
        let output = sidegate(self.path(), &["key", "seal"], secret);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn load(&self) -> Result<config::Loaded, Problems> {
        config::load(&self.path().join("proxy.yaml"), &Environment::default())
    }

    fn start(&self) -> Sidegate {
        Sidegate::from_file(&self.path().join("proxy.yaml"), false)
    }
}

/// The fields of the config as it stands that are in force now and were not before, or what is wrong with it.
fn reload(sidegate: &Sidegate) -> Result<Vec<String>, Problems> {
    match &sidegate.reload().outcome {
        Outcome::Applied { changed } => Ok(changed.clone()),
        Outcome::Unchanged => Ok(Vec::new()),
        Outcome::Refused(problems) => Err(problems.clone()),
        Outcome::RestartRequired { fields } => panic!("no restart for {fields:?}"),
    }
}

/// The keys with which the provider is asked.
async fn keys_seen(sidegate: &Sidegate, provider: &mut Provider) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(sidegate.address).await;
        client.get("/v1/models").await;
        assert_eq!(client.reply("GET").await.status(), 200);
        seen.push(provider.request().await.head.get("authorization").unwrap());
    }
    seen.sort();
    seen
}

#[tokio::test]
async fn a_master_key_is_replaced_with_both_in_force_on_the_way() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let (desk, at) = (Desk::new(), provider.address.to_string());
    let both = ["Bearer sk-canary-0123456789", "Bearer sk-second-9876543210"];

    // Sealed with the old one, the config's only one. The keys are not in it yet, so it can't be loaded yet.
    desk.master("old");
    desk.write(&at, &["old"], &[]);
    let first = [desk.seal(CANARY), desk.seal("sk-second-9876543210\n")];
    assert!(first.iter().all(|text| text.starts_with("sealed:old:")), "{first:?}");
    desk.write(&at, &["old"], &[&first[0], &first[1]]);
    let sidegate = desk.start();
    assert_eq!(keys_seen(&sidegate, &mut provider).await, both);

    // The new one is put first: what is sealed from now on is sealed with it, and what was sealed before still opens.
    desk.master("new");
    desk.write(&at, &["new", "old"], &[&first[0], &first[1]]);
    assert_eq!(reload(&sidegate), Ok(vec!["sealing.keys".to_owned()]));
    assert_eq!(keys_seen(&sidegate, &mut provider).await, both);
    let again = [desk.seal(CANARY), desk.seal("sk-second-9876543210")];
    assert!(again.iter().all(|text| text.starts_with("sealed:new:")), "{again:?}");
    desk.write(&at, &["new", "old"], &[&again[0], &first[1]]);
    // Sealed anew it is the same key: there is nothing to put in force.
    assert_eq!(reload(&sidegate), Ok(Vec::new()));
    assert_eq!(keys_seen(&sidegate, &mut provider).await, both);

    // Taken away too early, it is missed by name, and what was in force still is.
    desk.write(&at, &["new"], &[&again[0], &first[1]]);
    let refused = reload(&sidegate).unwrap_err();
    assert_eq!(refused.iter().map(|problem| problem.field()).collect::<Vec<_>>(), ["providers.scripted.keys[1].value"], "{refused}");
    assert!(refused.to_string().contains("the master key `old`, which is not below `sealing:`"), "{refused}");
    assert_eq!(keys_seen(&sidegate, &mut provider).await, both);

    desk.write(&at, &["new"], &[&again[0], &again[1]]);
    assert_eq!(reload(&sidegate), Ok(vec!["sealing.keys".to_owned()]));
    fs::remove_file(desk.path().join("old")).unwrap();
    assert_eq!(reload(&sidegate), Ok(Vec::new()));
    assert_eq!(keys_seen(&sidegate, &mut provider).await, both);
}

/// Two keys of a provider live at once: the new one is added, then the old one is taken out of use, then removed.
#[tokio::test]
async fn a_providers_key_is_replaced_with_both_in_force_on_the_way() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let (desk, at) = (Desk::new(), provider.address.to_string());
    desk.master("a");
    desk.write(&at, &["a"], &[]);
    let (old, new) = (desk.seal("sk-old"), desk.seal("sk-new"));
    desk.write(&at, &["a"], &[&old]);
    let sidegate = desk.start();
    for (keys, seen) in [
        (vec![old.as_str()], ["Bearer sk-old", "Bearer sk-old"]),
        (vec![&old, &new], ["Bearer sk-new", "Bearer sk-old"]),
        (vec![&new], ["Bearer sk-new", "Bearer sk-new"]),
    ] {
        desk.write(&at, &["a"], &keys);
        assert!(reload(&sidegate).is_ok());
        assert_eq!(keys_seen(&sidegate, &mut provider).await, seen);
    }
}

#[test]
fn a_swap_of_two_master_keys_under_one_id_is_found() {
    let desk = Desk::new();
    desk.master("a");
    desk.write("scripted.test", &["a"], &[]);
    let text = desk.seal(CANARY);
    desk.write("scripted.test", &["a"], &[&text]);
    let key = fs::read_to_string(desk.path().join("a")).unwrap();
    assert_eq!((opened(&text, &key).as_str(), secrets(&desk.load().unwrap())), (CANARY, vec![CANARY]));

    fs::remove_file(desk.path().join("a")).unwrap();
    desk.master("a");
    let refused = desk.load().unwrap_err().to_string();
    assert!(refused.contains("the master key `a` does not open this text") && !refused.contains("canary"), "{refused}");
}
