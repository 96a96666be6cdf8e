//! A provider's `keys:`: every source read, every key fit to be sent, none twice.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use http::HeaderValue;
use secrecy::zeroize::Zeroizing;

use super::{Review, quotas};
use crate::{
    config::{Key, KeyHash, KeySource, expand::is_name, files, path::FieldPath, problem::Fault, sealed::Sealed, suggest},
    types::Secret,
};

/// A key as its source gave it.
struct Found {
    /// The name of the variable or file.
    origin: Option<String>,
    text: Zeroizing<String>,
    file: Option<PathBuf>,
}

impl Found {
    fn in_file(path: &Path, text: Zeroizing<String>) -> Self {
        Self { origin: path.file_name().map(|name| name.to_string_lossy().into_owned()), text, file: Some(path.to_owned()) }
    }
}

/// The keys of a provider, as far as they could be read.
pub(super) struct Pool {
    pub(super) keys: Vec<Key>,
    /// Whether every source could be read; if not, that has been reported.
    pub(super) complete: bool,
}

/// Reads all keys of a provider; `at` is the path of its `keys`.
pub(super) fn read(review: &mut Review<'_>, at: &FieldPath, sources: &[KeySource]) -> Pool {
    let mut pool = Pool { keys: Vec::new(), complete: review.intact(at) };
    let mut seen = Seen::default();
    for (i, source) in sources.iter().enumerate() {
        let at = at.then(i);
        pool.complete &= settings(review, &at, source);
        // Where the source itself was taken out, nothing can be said about which one is missing.
        if review.intact(&at) {
            match one(review, &at, source, &mut seen, i + 1) {
                Some(mut keys) => pool.keys.append(&mut keys),
                None => pool.complete = false,
            }
        }
    }
    quotas::share(review, at, sources, &mut pool.keys);
    if pool.complete && !pool.keys.is_empty() && pool.keys.iter().all(|key| key.weight == 0.0) {
        review.name(at, Fault::new("all keys have the weight 0, so none is ever used", "give at least one key a weight above 0"));
    }
    pool
}

/// What one provider's keys have in use already.
#[derive(Default)]
struct Seen {
    secrets: HashMap<KeyHash, String>,
    names: HashMap<String, FieldPath>,
}

/// Checks what is written beside the key itself.
fn settings(review: &mut Review<'_>, at: &FieldPath, source: &KeySource) -> bool {
    let before = review.findings.len();
    if let Some(weight) = source.weight
        && !(weight.is_finite() && weight >= 0.0)
    {
        review.value(
            &at.then("weight"),
            Fault::new(
                "a weight must be a finite number that is not negative",
                "write a number such as `1` or `0.2`; 0 takes the key out of use",
            ),
        );
    }
    let texts =
        [("name", &source.name), ("account", &source.account), ("organization", &source.organization), ("project", &source.project)];
    for (field, text) in texts {
        let fine = |text: &String| !text.is_empty() && text.trim() == text && text.is_ascii() && HeaderValue::from_str(text).is_ok();
        if !text.as_ref().is_none_or(fine) {
            let fault = Fault::new(
                format!("`{field}` is empty or has characters that a header can't carry"),
                "write printable ASCII characters, without white space at the ends",
            );
            review.value(&at.then(field), fault);
        }
    }
    review.findings.len() == before
}

/// The keys of one source; `None` where something is wrong, which is then noted.
fn one(review: &mut Review<'_>, at: &FieldPath, source: &KeySource, seen: &mut Seen, ordinal: usize) -> Option<Vec<Key>> {
    let (field, found) = match (&source.env, &source.dir, &source.file, &source.value) {
        (Some(env), None, None, None) => ("env", from_environment(review, &at.then("env"), env)?),
        (None, Some(dir), None, None) => ("dir", from_directory(review, &at.then("dir"), dir)?),
        (None, None, Some(file), None) => ("file", vec![Found::in_file(file, from_file(review, &at.then("file"), file)?)]),
        (None, None, None, Some(value)) => ("value", vec![Found { origin: None, text: value.0.expose().to_owned().into(), file: None }]),
        (None, None, None, None) => {
            review.name(at, Fault::new("this key has no source", "add one of `env:`, `dir:`, `file:` and `value:`"));
            return None;
        }
        _ => {
            review.name(
                at,
                Fault::new(
                    "this key has more than one source",
                    "keep one of `env`, `dir`, `file` and `value`; each further key is an item of its own",
                ),
            );
            return None;
        }
    };
    let (at_source, several) = (at.then(field), field == "dir" || source.env.as_ref().is_some_and(|env| env.ends_with('*')));
    let keys: Vec<Option<Key>> = found
        .into_iter()
        .map(|Found { origin, text, file }| {
            let name = match (&source.name, origin) {
                // Keys of one source are told apart by where they came from, also when their number changes.
                (Some(name), Some(origin)) if several => format!("{name}-{origin}"),
                (Some(name), _) => name.clone(),
                (None, Some(origin)) => origin,
                (None, None) => format!("key-{ordinal}"),
            };
            let secret = opened(review, &at_source, field, (&name, text))?;
            is_fit(review, &at_source, &name, secret.expose(), seen)?;
            is_new_name(review, at, &name, seen)?;
            Some(Key {
                name,
                secret,
                weight: source.weight.unwrap_or(1.0),
                account: source.account.clone(),
                requests: source.requests,
                tokens: source.tokens,
                organization: source.organization.clone(),
                project: source.project.clone(),
                file,
            })
        })
        .collect();
    keys.into_iter().collect()
}

/// What the source gave, less line ends behind it, and opened where it is sealed.
pub(super) fn opened(review: &mut Review<'_>, at: &FieldPath, field: &str, (name, text): (&str, Zeroizing<String>)) -> Option<Secret> {
    let text = text.trim_end_matches(['\n', '\r']);
    match Sealed::is_sealed(text) {
        false => Some(Secret::new(text.to_owned())),
        // A secret text of the config was opened before; this one could not be, and it has been said why.
        true if field == "value" => None,
        true => review.open(at, &format!("the key `{name}`"), text),
    }
}

/// Refuses what can't be sent in a header or is in the pool already. The text itself is never shown.
fn is_fit(review: &mut Review<'_>, at: &FieldPath, name: &str, text: &str, seen: &mut Seen) -> Option<()> {
    let fault = if text.is_empty() {
        Fault::new(format!("the key `{name}` is empty"), "give it a value, or remove it")
    } else if text.contains(char::is_whitespace) {
        Fault::new(
            format!("the key `{name}` has white space in it"),
            "remove blanks and line breaks, and give each key a file or variable of its own",
        )
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Fault::new(
            format!("the key `{name}` has characters that a header can't carry"),
            "copy the key again: it is made of printable ASCII characters",
        )
    } else {
        let Some(first) = seen.secrets.insert(KeyHash::of(text.as_bytes()), name.to_owned()) else {
            return Some(());
        };
        Fault::new(
            format!("the key `{name}` is the same secret as `{first}`"),
            "remove one of the two; a larger share of the traffic is a `weight`",
        )
    };
    review.value(at, fault);
    None
}

fn is_new_name(review: &mut Review<'_>, at: &FieldPath, name: &str, seen: &mut Seen) -> Option<()> {
    let Some(first) = seen.names.insert(name.to_owned(), at.clone()) else { return Some(()) };
    let first = review.as_written(&first);
    review.name(at, Fault::new(format!("two keys have the name `{name}`"), format!("give this one or `{first}` another `name:`")));
    None
}

/// `NAME`, or with a star `NAME` and every `NAME_<digits>`, in the order of the numbers.
fn from_environment(review: &mut Review<'_>, at: &FieldPath, pattern: &str) -> Option<Vec<Found>> {
    let name = pattern.strip_suffix('*').unwrap_or(pattern);
    let found = |name: &str, text: &str| Found { origin: Some(name.to_owned()), text: text.to_owned().into(), file: None };
    if name == pattern {
        return variable(review, at, name).map(|text| vec![Found { origin: Some(name.to_owned()), text, file: None }]);
    }
    if !is_variable(review, at, name) {
        return None;
    }
    let names = review.environment.numbered(name);
    if names.is_empty() {
        unset(review, at, name, "set it, or the same name with `_2`, `_3` …, before the start");
        return None;
    }
    Some(names.into_iter().map(|name| found(name, review.environment.get(name).unwrap_or_default())).collect())
}

/// The value of the variable `name`.
pub(super) fn variable(review: &mut Review<'_>, at: &FieldPath, name: &str) -> Option<Zeroizing<String>> {
    if !is_variable(review, at, name) {
        return None;
    }
    let value = review.environment.get(name).map(|text| text.to_owned().into());
    if value.is_none() {
        unset(review, at, name, "set it before the start, or remove this key");
    }
    value
}

fn is_variable(review: &mut Review<'_>, at: &FieldPath, name: &str) -> bool {
    let fine = is_name(name);
    if !fine {
        // Not shown: it may be the key itself.
        review.value(
            at,
            Fault::new("this is no name of an environment variable", "write `NAME` or `NAME*`; the key itself is never written here"),
        );
    }
    fine
}

fn unset(review: &mut Review<'_>, at: &FieldPath, name: &str, fix: &str) {
    let fault = Fault::new(format!("the environment variable `{name}` is not set"), fix);
    review.value(at, fault.noting(suggest::did_you_mean(name, review.environment.names())));
}

/// Every regular file of a directory, in the order of the names. A mounted Secret keeps its versions in names that start
/// with a dot and links to the current one; the dots are left out and links followed.
fn from_directory(review: &mut Review<'_>, at: &FieldPath, dir: &Path) -> Option<Vec<Found>> {
    review.files.push(dir.to_owned());
    let listed =
        std::fs::read_dir(dir).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(error) => {
            let fault = Fault::new(
                format!("the directory `{}` can't be read: {}", dir.display(), files::reason(&error)),
                "correct the path, or let this user read the directory",
            );
            review.value(at, fault);
            return None;
        }
    };
    // A link that leads nowhere stays in, so that reading it says so.
    let is_key = |path: &Path| path.metadata().map_or(true, |metadata| metadata.is_file());
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')) && is_key(path));
    paths.sort();
    if paths.is_empty() {
        review
            .value(at, Fault::new(format!("the directory `{}` holds no key", dir.display()), "put each key into a file of its own there"));
        return None;
    }
    paths.into_iter().map(|path| from_file(review, at, &path).map(|text| Found::in_file(&path, text))).collect()
}

pub(super) fn from_file(review: &mut Review<'_>, at: &FieldPath, path: &Path) -> Option<Zeroizing<String>> {
    review.files.push(path.to_owned());
    match files::read_text(path) {
        Ok(text) => Some(text.into()),
        Err(why) => {
            let fault = Fault::new(
                format!("the file `{}` can't be read: {why}", path.display()),
                "correct the path, or let this user read the file",
            );
            review.value(at, fault);
            None
        }
    }
}
