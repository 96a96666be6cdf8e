//! `sealing:` and every sealed text: master keys that can be used, and texts that they open.

use std::collections::HashSet;

use super::Review;
use crate::{
    config::{
        Config, Environment, ProxyChoice, SecretText,
        expand::is_name,
        files,
        path::{FieldPath, field},
        problem::Fault,
        sealed::{MASTER_KEY_FORM, MasterKey, Sealed, Unopened},
        sealing::{MasterKeySource, Sealing},
        suggest,
    },
    types::{MasterKeyId, Secret},
};

/// The master keys of a config, the one that seals first.
#[derive(Default)]
pub(in crate::config) struct Keyring {
    /// `None` is one that can't be used, which has been reported.
    keys: Vec<(MasterKeyId, Option<MasterKey>)>,
    /// Whether all that were written are here; of the others it has been reported.
    complete: bool,
}

impl Keyring {
    /// The master key that seals.
    pub(in crate::config) fn into_first(self) -> Option<(MasterKeyId, MasterKey)> {
        let (id, key) = self.keys.into_iter().next()?;
        Some((id, key?))
    }
}

/// Every secret text of the config, with its place. What is not listed here can't be sealed; a test holds this list
/// against the schema.
fn secret_texts(config: &mut Config) -> impl Iterator<Item = (FieldPath, &mut SecretText)> {
    let headers = config.trace.otlp.iter_mut().flat_map(|otlp| otlp.headers.iter_mut().enumerate());
    let headers = headers.map(|(i, header)| (field!["trace", "otlp", "headers", i, "value"], &mut header.value));
    let token = config.admin.token.as_mut().map(|token| (field!["admin", "token"], token));
    let keys = config.providers.iter_mut().flat_map(|(name, provider)| {
        let at = field!["providers", name.as_str(), "keys"];
        let values = provider.keys.iter_mut().enumerate();
        values.filter_map(move |(i, key)| Some((at.then(i).then("value"), key.value.as_mut()?)))
    });
    let issuer = config.clients.iter_mut().filter_map(|clients| clients.jwt.as_mut()?.secret.as_mut()?.value.as_mut());
    let issuer = issuer.map(|secret| (field!["clients", "jwt", "secret", "value"], secret));
    token.into_iter().chain(keys).chain(headers).chain(issuer)
}

/// Reads the master keys and opens every secret text of the config in its place. Whoever reads the config from here on sees
/// no sealed text but those that could not be opened, which has been reported.
pub(super) fn check(review: &mut Review<'_>, config: &mut Config) {
    review.keyring = keyring(review, &config.sealing);
    for (at, text) in secret_texts(config) {
        let written = text.0.expose().trim_end_matches(['\n', '\r']);
        if Sealed::is_sealed(written)
            && let Some(opened) = review.open(&at, "this text", written)
        {
            text.0 = opened;
        }
    }
    for (name, provider) in &mut config.providers {
        if let ProxyChoice::Sealed(url) = &provider.proxy {
            let at = field!["providers", name.as_str(), "proxy"];
            let opened = review.open(&at, "this URL", url.0.expose().trim_end_matches(['\n', '\r']));
            match opened.as_ref().map(|url| url.expose().parse()) {
                None => {}
                Some(Ok(proxy)) => provider.proxy = ProxyChoice::Through(proxy),
                Some(Err(text)) => {
                    let (message, fix) = text.split_once("; ").unwrap_or((&text, "seal the URL again"));
                    review.value(&at, Fault::new(message, fix).noting("in what is sealed here"));
                }
            }
        }
    }
}

/// Reads the master keys of the section.
pub(in crate::config) fn keyring(review: &mut Review<'_>, sealing: &Sealing) -> Keyring {
    let mut keyring = Keyring { keys: Vec::new(), complete: review.intact(&field!["sealing"]) };
    let mut ids = HashSet::new();
    for (i, source) in sealing.keys.iter().enumerate() {
        let at = field!["sealing", "keys", i];
        if !ids.insert(&source.id) {
            let fault = Fault::new(
                format!("two master keys have the id `{}`", source.id),
                "give each an id of its own, one that no text was sealed with before",
            );
            review.value(&at.then("id"), fault);
            continue;
        }
        let key = if review.intact(&at) { one(review, &at, source) } else { None };
        let same = key.as_ref().and_then(|key| keyring.keys.iter().find(|(_, first)| first.as_ref() == Some(key)));
        if let Some((first, _)) = same {
            let fault = Fault::new(
                format!("the master keys `{first}` and `{}` are the same", source.id),
                "make a new one with `sidegate key master FILE`, or remove one of the two",
            );
            review.name(&at, fault);
        }
        keyring.keys.push((source.id.clone(), key));
    }
    keyring
}

fn one(review: &mut Review<'_>, at: &FieldPath, source: &MasterKeySource) -> Option<MasterKey> {
    let (field, read) = match (&source.file, &source.env) {
        (Some(file), None) => {
            review.files.push(file.clone());
            ("file", files::read_private(file).map_err(|why| format!("the file `{}` can't be used: {why}", file.display())))
        }
        (None, Some(name)) => ("env", from_variable(name, review.environment).map(|text| text.to_owned().into())),
        (found, _) => {
            let (message, fix) = match found {
                None => ("this master key has no source", "add `file:` or `env:`"),
                Some(_) => ("this master key has two sources", "keep `file` or `env`; each further master key is an item of its own"),
            };
            review.name(at, Fault::new(message, fix));
            return None;
        }
    };
    let used = read.and_then(|text| {
        MasterKey::from_text(&text).map_err(|why| format!("the master key `{}` can't be used: {why}; {MASTER_KEY_FORM}", source.id))
    });
    match used {
        Ok(key) => Some(key),
        Err(text) => {
            let (message, fix) =
                text.split_once("; ").unwrap_or((&text, "correct the path, or let this user, and nobody else, read the file"));
            review.value(&at.then(field), Fault::new(message, fix));
            None
        }
    }
}

/// The value of the variable that holds a master key, or what is wrong and what to do.
pub(in crate::config) fn from_variable<'e>(name: &str, environment: &'e Environment) -> Result<&'e str, String> {
    if !is_name(name) {
        // Not shown: it may be the master key itself.
        return Err("this is no name of an environment variable; write `NAME`; the master key itself is never written here".to_owned());
    }
    environment.get(name).ok_or_else(|| {
        let meant = suggest::did_you_mean(name, environment.names());
        let meant = if meant.is_empty() { String::new() } else { format!(": {meant}") };
        format!("the environment variable `{name}` is not set{meant}; set it before the start, or give the master key by `file:`")
    })
}

impl Review<'_> {
    /// The secret in a sealed text, without line ends. Where it can't be had, that is noted; `what` is how to speak of it.
    pub(super) fn open(&mut self, at: &FieldPath, what: &str, text: &str) -> Option<Secret> {
        match self.opened(what, text) {
            Ok(secret) => Some(secret),
            Err(fault) => {
                if let Some(fault) = fault {
                    self.value(at, fault);
                }
                None
            }
        }
    }

    /// No fault is one that has been reported.
    fn opened(&self, what: &str, text: &str) -> Result<Secret, Option<Fault>> {
        let sealed = Sealed::parse(text).map_err(|why| Some(unopened(what, None, why)))?;
        let keys = &self.keyring.keys;
        match keys.iter().find(|(id, _)| id == sealed.id()) {
            Some((id, Some(key))) => sealed.open(key).map_err(|why| Some(unopened(what, Some(id), why))),
            Some((_, None)) => Err(None),
            None if !self.keyring.complete => Err(None),
            None => Err(Some(unknown(what, sealed.id(), keys.iter().map(|(id, _)| id.as_str()).collect()))),
        }
    }
}

/// The id is shown: what has the whole form of a sealed text is none that was typed by hand.
fn unknown(what: &str, id: &MasterKeyId, known: Vec<&str>) -> Fault {
    if known.is_empty() {
        return Fault::new(
            format!("{what} is sealed, and no master key is named"),
            format!("add `sealing: {{ keys: [{{ id: {id}, file: PATH }}] }}`"),
        );
    }
    let fix = format!("add that master key, or seal the key again; the ids here are {}", suggest::listed(known.iter().copied()));
    let fault = Fault::new(format!("{what} is sealed with the master key `{id}`, which is not below `sealing:`"), fix);
    fault.noting(suggest::did_you_mean(id.as_str(), known))
}

fn unopened(what: &str, id: Option<&MasterKeyId>, why: Unopened) -> Fault {
    let id = id.map(|id| format!(" `{id}`")).unwrap_or_default();
    match why {
        Unopened::Damaged => Fault::new(
            format!("{what} is sealed, but damaged"),
            "copy the whole of what `sidegate key seal` printed, or seal the key again",
        ),
        Unopened::Version(version) => Fault::new(
            format!("{what} is sealed in the format {version}, which this version does not know"),
            "seal the key again with this version, or use the version that sealed it",
        ),
        Unopened::Refused => Fault::new(
            format!("the master key{id} does not open {what}"),
            "bring back the master key that had this id when it was sealed, or seal the key again; a text that was changed opens no more",
        ),
        Unopened::Twice => Fault::new(format!("{what} is sealed twice"), "seal the key itself"),
    }
}
