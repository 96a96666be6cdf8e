//! Where a config comes from: its text, the directory that its paths start from, and the environment. It is kept, so that
//! the files that the text names can be read again, and the text itself where it is a file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{Environment, Problems, files, load::not_text, parse, source::Source};
use crate::types::Secret;

/// A config's text and what it depends on.
#[derive(Clone, PartialEq)]
pub struct Origin {
    name: String,
    path: Option<PathBuf>,
    /// It may hold keys.
    text: Secret,
    environment: Environment,
    /// The GeoIP database that the config named when it was last taken.
    database: Option<PathBuf>,
}

impl Origin {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// If it can't be read or is no text.
    pub fn file(path: &Path, environment: Environment) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let bytes = files::read(path, parse::MAX_SIZE).map_err(|why| {
            Problems::whole(&name, format!("the config can't be read: {why}"), "give the path of a readable YAML file of at most 1 MiB")
        })?;
        let text = String::from_utf8(bytes).map_err(|error| not_text(&name, error.as_bytes(), error.utf8_error().valid_up_to()))?;
        Ok(Self { name, path: Some(path.to_owned()), text: Secret::new(text), environment, database: None })
    }

    /// A text that is no file; `name` is what errors call it.
    #[must_use]
    pub fn text(name: &str, text: &str, environment: Environment) -> Self {
        Self { name: name.to_owned(), path: None, text: Secret::new(text.to_owned()), environment, database: None }
    }

    /// The same with what its file holds now; a text that is no file never changes.
    ///
    /// # Errors
    ///
    /// As [`Self::file`].
    pub fn read_again(&self) -> Result<Self, Problems> {
        match &self.path {
            Some(path) => Self::file(path, self.environment.clone()).map(|again| again.using(self.database.clone())),
            None => Ok(self.clone()),
        }
    }

    /// For a process that uses this GeoIP database: what becomes of its file from now on is no mistake of the config.
    pub(super) fn using(self, database: Option<PathBuf>) -> Self {
        Self { database, ..self }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What relative paths start from.
    pub(super) fn directory(&self) -> &Path {
        self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(super) fn database(&self) -> Option<&Path> {
        self.database.as_deref()
    }

    pub(super) fn source(&self) -> Source {
        Source::new(self.name.clone(), self.text.expose().to_owned())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.name)
    }
}
