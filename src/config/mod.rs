//! Layer 1: what the operator wrote, checked. Plain data that can be compared; nothing here runs.
//!
//! Three stages, three kinds of value: the text with its positions (`source`), the plain data of this
//! file (`Config`), and the data with every key read from where it lives ([`Loaded`]). Each field's doc
//! comment is its entry in the schema and in `docs/config.md`.
//!
//! | what | files |
//! | --- | --- |
//! | a section of the config | the file of its name; `listen` has `admin:` and `body:` too, `route_cache` what a route says of `cache:` |
//! | values of their own kind in it | `base_url`, `jwk` and `key_set`, `places`, `proxy`, `secret_text`, `sealed` |
//! | from the text to the tree | `source`, `parse`, `end`, `syntax`; then `expand` puts variables and files in |
//! | from the tree to [`Config`] | `decode`, `decoder`, `path`; `check` says what the types can't |
//! | what is wrong, in words | `problem`, `excerpt`, `mask`, `suggest` |
//! | all of this in a row | `load`, from an `origin` in an `environment`; `diff` compares two |
//! | files beside the config | `files`, `certificates`, `database`, `price_list`; `stamp` and `renewal` see them change |
//! | for the command line | `schema`, `sealer`, `reach` |

pub mod annotate;
pub mod autoscaling;
pub mod base_url;
pub mod breaker;
pub mod cache;
pub mod certificates;
pub mod clients;
pub mod database;
pub mod diff;
pub mod dns;
pub mod drain;
pub mod environment;
pub mod jwk;
pub mod jwt;
pub mod key_set;
pub mod limits;
pub mod listen;
pub mod load;
pub mod log;
pub mod metrics;
pub mod mtls;
pub mod origin;
pub mod places;
pub mod price_list;
pub mod prices;
pub mod problem;
pub mod providers;
pub mod proxy;
pub mod queue;
pub mod reach;
pub mod regions;
pub mod renewal;
pub mod retry;
pub mod route_cache;
pub mod routes;
pub mod schema;
pub mod sealed;
pub mod sealer;
pub mod sealing;
pub mod secret_text;
pub mod session;
pub mod stamp;
pub mod targets;
pub mod trace;
pub mod trust;

mod check;
mod decode;
mod decoder;
mod end;
mod excerpt;
mod expand;
mod files;
mod mask;
mod parse;
mod path;
mod pattern;
mod source;
mod suggest;
mod syntax;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use annotate::{Annotate, RateLimits};
pub use autoscaling::Autoscaling;
pub use base_url::BaseUrl;
pub use breaker::{Breaker, BreakerChoice};
pub use cache::{Cache, Determinism, Replay, Scope};
pub use clients::{Anonymous, ClientKey, Clients, KeyHash};
pub use database::DatabaseFile;
pub use diff::Diff;
pub use dns::{Dns, NameResolution, NameServer};
pub use drain::Drain;
pub use environment::Environment;
pub use jwk::{Jwk, JwtKey};
pub use jwt::{Algorithm, Jwt, JwtSecret};
pub use key_set::KeySet;
pub use limits::{Few, Limit, Per, When};
pub use listen::{Admin, Body, Listen, ListenTls};
pub use load::{Key, Loaded, LoadedJwt, from_environment, from_text, load};
pub use log::{Level, Levels, Log, LogFormat};
pub use metrics::Metrics;
pub use mtls::{CertificateRule, Mtls, NamePattern};
pub use origin::Origin;
pub use places::{Continent, Country};
pub use price_list::PriceList;
pub use prices::{Prices, UnknownPrice};
pub use problem::{Problem, Problems};
pub use providers::{Affinity, Connections, HttpVersion, KeySource, Provider, Roots, Timeouts, UpstreamTls};
pub use proxy::{Proxy, ProxyChoice};
pub use queue::Queue;
pub use regions::{Geoip, Network, Regions};
pub use renewal::Renewal;
pub use retry::{Ambiguous, Retry};
pub use route_cache::{CacheChoice, RouteCache};
pub use routes::{Credentials, LastResort, ModelPattern, Order, Route};
pub use schema::schema;
pub use sealed::{MasterKey, Sealed};
pub use sealer::Sealer;
pub use sealing::{MasterKeySource, Sealing};
pub use secret_text::SecretText;
pub use session::SessionField;
pub use stamp::Sighting;
pub use targets::{Condition, Target};
pub use trace::{Otlp, OtlpHeader, Propagate, Trace};
pub use trust::{Trust, TrustedPeer};

use crate::types::ProviderName;

/// The whole of `proxy.yaml`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Left out, they are empty, and the checks refuse that: so what else is wrong with the file shows in the same run.
#[schemars(extend("required" = ["providers", "routes"]))]
pub struct Config {
    /// Refuse a file that does not say where it ends: this is its first field, and `...` with a line break is its last line. A
    /// file that was cut off anywhere, while it is written or copied, is then never taken for a whole one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_end: bool,
    /// Where applications connect.
    #[serde(default)]
    pub listen: Listen,
    /// Where operators and probes connect.
    #[serde(default)]
    pub admin: Admin,
    /// Whose word about a request's origin counts.
    #[serde(default)]
    pub trust: Trust,
    /// How much of request bodies is held in memory.
    #[serde(default)]
    pub body: Body,
    /// What is added to replies.
    #[serde(default)]
    pub annotate: Annotate,
    /// What Sidegate says about itself.
    #[serde(default)]
    pub log: Log,
    /// What becomes of traces.
    #[serde(default)]
    pub trace: Trace,
    /// When more replicas are recommended, or fewer.
    #[serde(default)]
    pub autoscaling: Autoscaling,
    /// How the names of providers become addresses.
    #[serde(default)]
    pub dns: Dns,
    /// How the process ends without cutting anybody off.
    #[serde(default)]
    pub drain: Drain,
    /// The master keys that open sealed keys.
    #[serde(default)]
    pub sealing: Sealing,
    /// What the metrics tell apart.
    #[serde(default)]
    pub metrics: Metrics,
    /// What tokens cost. Without it, and without a limit of cost, nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
    /// The AI providers, by name.
    #[serde(default)]
    pub providers: BTreeMap<ProviderName, Provider>,
    /// Which paths and models go to which providers; the first that fits is taken.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// How often a request is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// Whether the same question is paid for once. Left out, or `off`, only routes with a `cache:` of their own have one.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "cache::off_or_fields")]
    #[schemars(with = "Option<cache::OffOrFields>")]
    pub cache: Option<Cache>,
    /// Which region a request comes from.
    #[serde(default)]
    pub regions: Regions,
    /// Who may call. Needed where `listen` can be reached from other machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// How much each caller may have: all limits that fit a request must have room for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}
