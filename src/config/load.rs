//! From a file to a checked config with its keys: read, parse, expand, decode, check.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::{
    Config, Environment, JwtKey, Origin, PriceList, Problems, Proxy, Roots,
    check::{self, Named, Review},
    decode, end,
    expand::Expansion,
    parse,
    path::FieldPath,
    problem::{Fault, Finding},
    schema,
    source::{Node, Source, Span},
    syntax,
};
use crate::types::{ProviderName, Rate, Secret};

/// A key of a provider's pool, read from where it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its name in logs and metrics; once in a provider.
    pub name: String,
    /// The key itself: printable ASCII, not empty.
    pub secret: Secret,
    /// Its share of the traffic against its neighbours' weights: finite, not negative; 0 is out of use.
    pub weight: f64,
    /// Keys with the same account share one quota; `None` is an account of its own.
    pub account: Option<String>,
    /// How many requests its account may make of each model; the same in all keys of an account.
    pub requests: Option<Rate>,
    /// How many tokens its account may have of each model; the same in all keys of an account.
    pub tokens: Option<Rate>,
    /// Sent as `openai-organization`: printable ASCII.
    pub organization: Option<String>,
    /// Sent as `openai-project`: printable ASCII.
    pub project: Option<String>,
    /// The file that it was read from. Who removes that file takes the key back.
    pub file: Option<PathBuf>,
}

/// What `clients.jwt` verifies tokens with, as far as it need not be fetched, and how the rest is reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedJwt {
    /// The keys.
    pub keys: Vec<JwtKey>,
    /// The egress proxy on the way to the key set.
    pub proxy: Option<Proxy>,
}

/// A config that can work, and all that it names.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The config. Paths in it no longer depend on the directory of its file.
    pub config: Config,
    /// The keys of each provider, in the order of the config; empty for one that only passes its callers' own.
    pub keys: BTreeMap<ProviderName, Vec<Key>>,
    /// The egress proxy of each provider that is reached through one.
    pub proxies: BTreeMap<ProviderName, Proxy>,
    /// The prices of the file that the config names.
    pub prices: Option<PriceList>,
    /// What tokens are verified with.
    pub jwt: LoadedJwt,
    /// Every file and directory that was read, the config's own first: what to watch for changes.
    pub files: Vec<PathBuf>,
    /// Where the config's text comes from.
    pub origin: Origin,
}

impl Loaded {
    /// Whether both mean the same, wherever they come from.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        (&self.config, &self.keys, &self.proxies, &self.prices, &self.jwt)
            == (&other.config, &other.keys, &other.proxies, &other.prices, &other.jwt)
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let keys = self.keys.values().map(Vec::len).sum();
        write!(
            f,
            "{}, {}, {}",
            counted(self.config.providers.len(), "provider"),
            counted(keys, "key"),
            counted(self.config.routes.len(), "route")
        )
    }
}

/// What serves without a file: OpenAI on 127.0.0.1:8080.
const ZERO_CONFIG: &str = "
providers: { openai: { keys: [{ env: OPENAI_API_KEY* }] } }
routes: [{ path: /v1, targets: [openai] }]
";

/// Loads a config file. Paths in it are relative to its directory.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Problems> {
    read(Origin::file(path, environment.clone())?, &mut Vec::new())
}

/// Loads a config from its text; `name` is what errors call it. Paths in it are relative to the working directory.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn from_text(name: &str, text: &str, environment: &Environment) -> Result<Loaded, Problems> {
    if text.len() > parse::MAX_SIZE {
        return Err(Problems::whole(name, "the config is larger than 1 MiB", "a config needs far less: is this the right text?"));
    }
    read(Origin::text(name, text, environment.clone()), &mut Vec::new())
}

/// The config that serves without a file, from `OPENAI_API_KEY` and `OPENAI_API_KEY_<digits>`.
///
/// # Errors
/// No such variable is set, or one holds no key.
pub fn from_environment(environment: &Environment) -> Result<Loaded, Problems> {
    const NAME: &str = "(no config file)";
    if environment.numbered("OPENAI_API_KEY").is_empty() {
        let message = "there is no config file, and the environment variable `OPENAI_API_KEY` is not set";
        return Err(Problems::whole(NAME, message, "set `OPENAI_API_KEY`, or write `proxy.yaml`"));
    }
    from_text(NAME, ZERO_CONFIG, environment)
}

/// Reads what the text of `origin` says, with all files that it names. Those come into `files`, also where it fails.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn read(origin: Origin, files: &mut Vec<PathBuf>) -> Result<Loaded, Problems> {
    files.extend(origin.path().map(Path::to_owned));
    let source = origin.source();
    let mut findings = Vec::new();
    let tree = parse::parse(&source, &mut findings);
    // A file cut short by an error of syntax says nothing sure about the rest.
    let Some(mut tree) = tree else {
        return Err(without_tree(findings, &source));
    };
    end::check(&source, &tree, &mut findings);
    let (directory, environment) = (origin.directory(), origin.environment());
    Expansion::new(environment, directory, &source, &mut findings, files).expand(&mut tree, &FieldPath::default());
    match decoded(&mut tree, &origin, &mut findings, files) {
        Some((config, Named { keys, proxies, jwt, prices })) if findings.is_empty() => {
            let origin = origin.using(config.regions.geoip.as_ref().map(|geoip| geoip.database.clone()));
            Ok(Loaded { config, keys, proxies, jwt, prices, files: files.clone(), origin })
        }
        _ => Err(Problems::of(findings, &source, &secrets(&source))),
    }
}

/// Where the file holds what an error may not show. The tree is read once more, as it stood before it was expanded: a config
/// without errors, which is nearly every one, has no need of the schema.
pub(super) fn secrets(source: &Source) -> Vec<Span> {
    parse::parse(source, &mut Vec::new()).map(|tree| tree.secrets(&schema::is_harmless, &schema::shown)).unwrap_or_default()
}

/// The problems of a file that has no tree to tell where its secrets stand.
pub(super) fn without_tree(mut findings: Vec<Finding>, source: &Source) -> Problems {
    if findings.is_empty() {
        findings.push(empty());
    }
    let secrets: Vec<Span> = findings.iter().filter_map(|finding| syntax::unread(source, finding.span?)).collect();
    Problems::of(findings, source, &secrets)
}

fn decoded(tree: &mut Node, origin: &Origin, findings: &mut Vec<Finding>, files: &mut Vec<PathBuf>) -> Option<(Config, Named)> {
    let mut config: Config = decode::decode(tree, findings)?;
    start_paths_from(origin.directory(), &mut config);
    let named = check::check(&mut Review::new(tree, origin, findings, files), &mut config);
    Some((config, named))
}

/// Makes every path of the config independent of where its file stands.
fn start_paths_from(directory: &Path, config: &mut Config) {
    config.sealing.start_paths_from(directory);
    config.clients.iter_mut().flat_map(|clients| &mut clients.jwt).for_each(|jwt| jwt.start_paths_from(directory));
    let tls =
        config.listen.tls.iter_mut().flat_map(|tls| [Some(&mut tls.certificate), Some(&mut tls.key), tls.client_ca.as_mut()]).flatten();
    let providers = config.providers.values_mut().flat_map(|provider| {
        let upstream = &mut provider.tls;
        let roots = if let Roots::File(path) = &mut upstream.roots { Some(path) } else { None };
        let identity = [roots, upstream.certificate.as_mut(), upstream.key.as_mut()].into_iter().flatten();
        provider.keys.iter_mut().flat_map(|key| [key.dir.as_mut(), key.file.as_mut()]).flatten().chain(identity)
    });
    let database = config.regions.geoip.iter_mut().map(|geoip| &mut geoip.database);
    let prices = config.prices.iter_mut().filter_map(|prices| prices.file.as_mut());
    tls.chain(providers).chain(database).chain(prices).for_each(|path| *path = directory.join(&*path));
}

fn empty() -> Finding {
    let fault = Fault::new("the config is empty", "write `providers:` and `routes:`; `proxy.yaml` in the source has an example of each");
    Finding { path: FieldPath::default(), span: Some(Span::TOP), fault }
}

/// A file that is not UTF-8, placed at its first wrong byte.
pub(super) fn not_text(name: &str, bytes: &[u8], valid: usize) -> Problems {
    let mut text = String::from_utf8_lossy(&bytes[..valid]).into_owned();
    let rest = String::from_utf8_lossy(&bytes[valid..]);
    text.push_str(rest.lines().next().unwrap_or_default());
    let fault = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        Fault::new("the config is UTF-16, not UTF-8", "save it as UTF-8")
    } else {
        Fault::new("the config is not UTF-8 text", "save it as UTF-8, or remove this byte")
    };
    let at = Span { start: valid, end: valid + 1 };
    let finding = Finding { path: FieldPath::default(), span: Some(at), fault };
    // Which field a damaged line is of can't be told, so none of it is shown.
    let line = Span { start: text[..valid].rfind('\n').map_or(0, |end| end + 1), end: text.len() };
    Problems::of(vec![finding], &Source::new(name, text), &[line])
}
