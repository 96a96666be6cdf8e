//! The master key that seals, and where `sidegate key seal` takes it from.

use std::path::Path;

use serde::Deserialize;

use super::{
    Environment, Origin, Problems,
    check::{
        Review,
        sealing::{from_variable, keyring},
    },
    decode,
    expand::Expansion,
    files, load, parse,
    path::FieldPath,
    sealed::{MASTER_KEY_FORM, MasterKey, Sealed},
    sealing::Sealing,
    source::Value,
};
use crate::types::{MasterKeyId, Secret};

/// A master key and its id.
#[derive(Debug)]
pub struct Sealer {
    id: MasterKeyId,
    key: MasterKey,
}

/// The one section that sealing needs.
#[derive(Deserialize)]
struct Section {
    #[serde(default)]
    sealing: Sealing,
}

impl Sealer {
    /// The first below `sealing:` of a config file. The rest of the file need not be right yet: it may wait for what is sealed now.
    ///
    /// # Errors
    ///
    /// What is wrong with the section, or that there is no master key in it.
    pub fn of_config(path: &Path, environment: &Environment) -> Result<Self, Problems> {
        let origin = Origin::file(path, environment.clone())?;
        let (source, directory) = (origin.source(), origin.directory());
        let mut findings = Vec::new();
        let Some(mut tree) = parse::parse(&source, &mut findings) else { return Err(load::without_tree(findings, &source)) };
        // Fields written twice were noted all over the file.
        findings.retain(|finding| finding.path.starts_with("sealing"));
        if let Value::Map(fields) = &mut tree.value {
            fields.retain(|field| field.key == "sealing");
        }
        let mut read = Vec::new();
        Expansion::new(environment, directory, &source, &mut findings, &mut read).expand(&mut tree, &FieldPath::default());
        let section: Option<Section> = decode::decode(&mut tree, &mut findings);
        let first = section.and_then(|Section { mut sealing }| {
            sealing.start_paths_from(directory);
            keyring(&mut Review::new(&tree, &origin, &mut findings, &mut read), &sealing).into_first()
        });
        match first {
            Some((id, key)) if findings.is_empty() => Ok(Self { id, key }),
            None if findings.is_empty() => {
                let fix =
                    "add `sealing: { keys: [{ id: NAME, file: PATH }] }`, or name a master key by `--key-file` or `--key-env` and `--id`";
                Err(Problems::whole(&source.name, "the config names no master key", fix))
            }
            _ => Err(Problems::of(findings, &source, &load::secrets(&source))),
        }
    }

    /// From a file that holds it.
    ///
    /// # Errors
    ///
    /// What is wrong and what to do.
    pub fn of_file(id: MasterKeyId, path: &Path) -> Result<Self, String> {
        let text = files::read_private(path).map_err(|why| format!("the file `{}` can't be used: {why}", path.display()))?;
        let key =
            MasterKey::from_text(&text).map_err(|why| format!("the file `{}` can't be used: {why}; {MASTER_KEY_FORM}", path.display()))?;
        Ok(Self { id, key })
    }

    /// From an environment variable that holds it.
    ///
    /// # Errors
    ///
    /// What is wrong and what to do.
    pub fn of_variable(id: MasterKeyId, name: &str, environment: &Environment) -> Result<Self, String> {
        let text = from_variable(name, environment)?;
        let key = MasterKey::from_text(text).map_err(|why| format!("the variable `{name}` can't be used: {why}; {MASTER_KEY_FORM}"))?;
        Ok(Self { id, key })
    }

    /// Seals what can be a key: printable ASCII without white space. Line ends behind it don't count.
    ///
    /// # Errors
    ///
    /// Why this text can be no key, without any part of it.
    pub fn seal(&self, text: &str) -> Result<String, String> {
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err("there is no key to seal; give it on standard input".to_owned());
        }
        if Sealed::is_sealed(text) {
            return Err("this is sealed already; give the key itself".to_owned());
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a key is made of printable ASCII characters, without white space; give one key alone".to_owned());
        }
        self.key.seal(&self.id, &Secret::new(text.to_owned()))
    }
}
