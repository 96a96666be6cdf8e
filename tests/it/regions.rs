//! Where requests come from: a trusted word, a network, a place in a GeoIP database that is exchanged while requests run.

use std::{fs, net::SocketAddr, os::unix::fs::symlink, path::PathBuf, sync::Arc};

use sidegate::{
    config::{self, Environment, Loaded},
    runtime::{Registry, Snapshot, compile, compile::Ground, reload::Outcome},
    server,
    telemetry::Metrics,
};
use tempfile::TempDir;

use crate::support::{
    Client, Gate, Mmdb, Provider, Script, Sidegate,
    mmdb::{map, text},
};

const NEW: &str = r#"sidegate_region_database_reloads_total{result="ok"}"#;
const UNFIT: &str = r#"sidegate_region_database_reloads_total{result="failed"}"#;

const GEOIP: &str = "geoip: { database: places.mmdb, countries: { dach: [DE, AT], asia: [JP] }, continents: { eu: [EU], us: [NA] } }";

/// Berlin's network is this one.
fn berlin(country: &str, continent: &str) -> Vec<u8> {
    Mmdb::of_countries(&[("81.2.69.0/24", country, continent)])
}

/// A directory with `proxy.yaml`, in which these regions stand, and the database that it names.
struct House {
    folder: TempDir,
    provider: SocketAddr,
}

impl House {
    fn with(regions: &str, database: &[u8], provider: SocketAddr) -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap(), provider };
        house.put("places.mmdb", database);
        house.say(regions);
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file in the place of another, as a whole.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path("new"), content).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn say(&self, regions: &str) {
        let config = format!(
            r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
trust: {{ proxies: [loopback] }}
providers: {{ scripted: {{ base_url: "http://{}/v1", keys: [{{ value: sk-pool }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
{regions}
"#,
            self.provider
        );
        self.put("proxy.yaml", config);
    }

    fn load(&self) -> Loaded {
        config::load(&self.path("proxy.yaml"), &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn open(&self, watch: bool) -> Sidegate {
        Sidegate::from_file(&self.path("proxy.yaml"), watch)
    }
}

/// The region of a request for a client at this address, as the access log has it. Each asks on a connection of its own.
async fn region_of(sidegate: &Sidegate, ip: &str) -> Option<String> {
    region_with(sidegate, &format!("X-Forwarded-For: {ip}\r\n")).await
}

async fn region_with(sidegate: &Sidegate, fields: &str) -> Option<String> {
    let line = sidegate.log_lines().len() + 1;
    let mut client = Client::connect(sidegate.address).await;
    client.get_with("/v1/models", fields).await;
    assert_eq!(client.reply("GET").await.status(), 200);
    sidegate.log(line).await.pop().unwrap()["region"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_trusted_word_counts_before_the_network_and_that_before_the_place_and_that_before_the_default() {
    let provider = Provider::always(Script::ok("served")).await;
    let database = Mmdb::of_countries(&[
        ("81.2.69.0/24", "DE", "EU"),
        ("90.0.0.0/8", "FR", "EU"),
        ("133.0.0.0/8", "JP", "AS"),
        ("134.0.0.0/8", "CN", "AS"),
        ("5.0.0.0/8", "", "EU"),
        ("6.0.0.0/8", "", ""),
        ("2a00:1450::/32", "IE", "EU"),
    ]);
    let networks = r#"networks: { eu: [10.1.0.0/16, "2001:db8::/32"], asia: [10.1.2.0/24], office: [81.2.69.160/27] }"#;
    let house = House::with(&format!("regions: {{ {networks}, {GEOIP}, default: us }}"), &database, provider.address);
    let sidegate = house.open(false);
    for (ip, region) in [
        ("10.1.3.4", "eu"),
        ("10.1.2.3", "asia"),
        ("2001:db8::1", "eu"),
        ("81.2.69.142", "dach"),
        ("81.2.69.161", "office"),
        ("::ffff:81.2.69.142", "dach"),
        ("64:ff9b::81.2.69.142", "dach"),
        ("90.1.2.3", "eu"),
        ("133.1.2.3", "asia"),
        ("134.1.2.3", "us"),
        ("5.1.2.3", "eu"),
        ("6.1.2.3", "us"),
        ("2a00:1450::1", "eu"),
        ("2a00:1451::1", "us"),
        ("127.0.0.1", "us"),
    ] {
        assert_eq!(region_of(&sidegate, ip).await.as_deref(), Some(region), "{ip}");
        let said = format!("X-Forwarded-For: {ip}\r\nX-Region: mars\r\n");
        assert_eq!(region_with(&sidegate, &said).await.as_deref(), Some("mars"), "{ip}");
        let unsaid = format!("X-Forwarded-For: {ip}\r\nX-Region: no region\r\n");
        assert_eq!(region_with(&sidegate, &unsaid).await.as_deref(), Some(region), "{ip}");
    }
}

#[tokio::test]
async fn where_no_region_is_configured_there_is_none_but_a_trusted_word() {
    let provider = Provider::always(Script::ok("served")).await;
    let sidegate = House::with("", b"unread", provider.address).open(false);
    assert_eq!(region_of(&sidegate, "81.2.69.142").await, None);
    assert_eq!(region_with(&sidegate, "X-Region: eu\r\n").await.as_deref(), Some("eu"));
}

#[tokio::test]
async fn a_new_database_is_used_without_a_reload_and_a_broken_one_leaves_the_last_good_one_in_use() {
    let provider = Provider::start().await;
    let go_on = Gate::new();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    provider.script(Script::reply(head).chunk("one").wait(&go_on).chunk("two").write("0\r\n\r\n"));
    provider.otherwise(Script::ok("served"));
    let house = House::with(&format!("regions: {{ {GEOIP} }}"), b"", provider.address);
    // As the kubelet lays out a mounted volume.
    house.put("..1/places.mmdb", berlin("DE", "EU"));
    symlink("..1", house.path("..data")).unwrap();
    fs::remove_file(house.path("places.mmdb")).unwrap();
    symlink("..data/places.mmdb", house.path("places.mmdb")).unwrap();
    let sidegate = house.open(true);
    let mut streaming = Client::connect(sidegate.address).await;
    streaming.post("/v1/chat/completions", r#"{"model":"gpt-4o"}"#).await;
    streaming.until("one").await;
    let ask = async |line: usize| {
        let mut client = Client::connect(sidegate.address).await;
        client.get_with("/v1/models", "X-Forwarded-For: 81.2.69.142\r\n").await;
        assert_eq!(client.reply("GET").await.status(), 200);
        sidegate.log(line).await.pop().unwrap()["region"].as_str().map(str::to_owned)
    };
    assert_eq!(ask(1).await.as_deref(), Some("dach"));
    assert_eq!(sidegate.metric("sidegate_region_database_built_timestamp_seconds").await, 1_760_000_000.0);

    house.put("..2/places.mmdb", berlin("JP", "AS"));
    symlink("..2", house.path("..tmp")).unwrap();
    fs::rename(house.path("..tmp"), house.path("..data")).unwrap();
    sidegate.metric_becomes(NEW, 1.0).await;
    assert_eq!(ask(2).await.as_deref(), Some("asia"));

    house.put("places.mmdb", &berlin("FR", "EU")[..100]);
    sidegate.metric_becomes(UNFIT, 1.0).await;
    assert_eq!(ask(3).await.as_deref(), Some("asia"), "the last good one");
    assert_eq!(sidegate.metric(NEW).await, 1.0);
    assert_eq!((sidegate.metric("sidegate_config_generation").await, sidegate.reloads().refused), (1.0, 0), "nothing was reloaded");
    go_on.open();
    streaming.until("two\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn an_operators_word_takes_up_a_new_database_at_once() {
    let provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&format!("regions: {{ {GEOIP} }}"), &berlin("DE", "EU"), provider.address);
    let sidegate = house.open(false);
    assert_eq!(region_of(&sidegate, "81.2.69.142").await.as_deref(), Some("dach"));
    house.put("places.mmdb", berlin("JP", "AS"));
    assert_eq!(sidegate.reload().outcome, Outcome::Unchanged);
    assert_eq!(region_of(&sidegate, "81.2.69.142").await.as_deref(), Some("asia"));
    assert_eq!(sidegate.reload().outcome, Outcome::Unchanged);
    assert_eq!(sidegate.metric(NEW).await, 1.0, "the same file is not read again");
    // One that holds no place, though it is a database.
    let networks = Mmdb::empty("GeoLite2-ASN").with("81.2.69.0/24", [map(1), text("organization"), text("Example")].concat());
    house.put("places.mmdb", networks.bytes());
    assert_eq!(sidegate.reload().outcome, Outcome::Unchanged);
    assert_eq!((sidegate.metric(NEW).await, sidegate.metric(UNFIT).await), (1.0, 1.0));
    house.put("places.mmdb", "no database at all");
    assert_eq!(sidegate.reload().outcome, Outcome::Unchanged, "and no mistake of the config");
    assert_eq!((sidegate.metric(NEW).await, sidegate.metric(UNFIT).await), (1.0, 2.0));
    fs::remove_file(house.path("places.mmdb")).unwrap();
    house.say(&format!("regions: {{ {}, default: us }}", GEOIP.replace("asia", "far")));
    assert!(matches!(sidegate.reload().outcome, Outcome::Applied { .. }), "it holds up no other change");
    assert_eq!(region_of(&sidegate, "81.2.69.142").await.as_deref(), Some("far"));
    house.say(&format!("regions: {{ {GEOIP} }}"));
    assert!(matches!(sidegate.reload().outcome, Outcome::Applied { .. }));
    assert_eq!(region_of(&sidegate, "81.2.69.142").await.as_deref(), Some("asia"), "the last good one");
}

#[tokio::test]
async fn what_the_places_are_called_changes_with_a_reload_and_the_database_stays() {
    let provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&format!("regions: {{ {GEOIP} }}"), &berlin("DE", "EU"), provider.address);
    let (metrics, registry) = (Metrics::default(), Registry::default());
    let compiled = |before| compile(house.load(), Ground { metrics: &metrics, registry: &registry, before }).unwrap();
    let database = |snapshot: &Snapshot| Arc::clone(snapshot.regions.database().unwrap());
    let region = |snapshot: &Snapshot| snapshot.regions.of(Some("81.2.69.142".parse().unwrap())).map(|region| region.to_string());
    let first = compiled(None);
    assert_eq!(region(&first).as_deref(), Some("dach"));
    house.say(&format!("regions: {{ {} }}", GEOIP.replace("dach", "mitte")));
    let second = compiled(Some(&first));
    assert_eq!(region(&second).as_deref(), Some("mitte"));
    assert!(Arc::ptr_eq(&database(&first), &database(&second)), "a reload reads no database that is in use");
    house.put("other.mmdb", berlin("JP", "AS"));
    house.say(&format!("regions: {{ {} }}", GEOIP.replace("places.mmdb", "other.mmdb")));
    let third = compiled(Some(&second));
    assert_eq!(region(&third).as_deref(), Some("asia"));
    assert!(!Arc::ptr_eq(&database(&second), &database(&third)));
    assert_eq!(region(&second).as_deref(), Some("mitte"), "who began with the one before keeps it");
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_with_what_to_give_instead() {
    let provider = Provider::always(Script::ok("served")).await;
    let regions = format!("regions: {{ {GEOIP} }}");
    let house = House::with(&regions, b"no database", provider.address);
    let refused = || config::load(&house.path("proxy.yaml"), &Environment::default()).unwrap_err().to_string();
    for (change, why) in [
        (None, "it is no MaxMind DB file, or was cut off"),
        (Some(berlin("DE", "EU")[..150].to_vec()), "it is no MaxMind DB file, or was cut off"),
        (Some(Vec::new()), "it is no MaxMind DB file, or was cut off"),
    ] {
        if let Some(content) = change {
            house.put("places.mmdb", content);
        }
        let printed = refused();
        assert!(printed.contains(why) && printed.contains("fix: give the path of a file such as `GeoLite2-Country.mmdb`"), "{printed}");
    }
    fs::remove_file(house.path("places.mmdb")).unwrap();
    assert!(refused().contains("there is no such file"), "{}", refused());
    // What only reading all of it can tell: the tree is not there, or no place is in it.
    let whole = berlin("DE", "EU");
    let networks = Mmdb::empty("GeoLite2-ASN").with("81.2.69.0/24", [map(1), text("organization"), text("Example")].concat());
    for (content, why) in
        [(whole[whole.len() - 300..].to_vec(), "can't be used"), (networks.bytes(), "it is a `GeoLite2-ASN` and tells no country")]
    {
        house.put("places.mmdb", content);
        let error = server::start(house.load(), server::Options::default()).err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains(why) && error.contains("GeoLite2-Country.mmdb")), "{error:?}");
    }
    // With a reload: the generation in force stays.
    house.say("");
    let sidegate = house.open(false);
    house.say(&regions);
    assert!(matches!(sidegate.reload().outcome, Outcome::Refused(_)));
    assert_eq!(region_of(&sidegate, "81.2.69.142").await, None);
    house.put("places.mmdb", whole);
    assert!(matches!(sidegate.reload().outcome, Outcome::Applied { .. }));
    assert_eq!(region_of(&sidegate, "81.2.69.142").await.as_deref(), Some("dach"));
}
