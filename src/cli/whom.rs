//! Which running process a command speaks to.

use std::path::{Path, PathBuf};

use super::DEFAULT_FILE;
use crate::{
    config::{Admin, Environment, reach},
    types::{Address, Secret},
};

/// Where it listens.
#[derive(Debug, clap::Args)]
pub(super) struct Whom {
    /// The config file whose `admin.address` is asked; by default `proxy.yaml` if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the admin listener is, whatever the config says: `IP:PORT`, `localhost:PORT` or `unix:/path`.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Address>,
}

impl Whom {
    /// Where to ask. With an address given, no file is read.
    ///
    /// # Errors
    ///
    /// What is wrong with the config, as far as it is needed.
    pub(super) fn address(&self, environment: &Environment) -> Result<Address, String> {
        if let Some(address) = &self.address {
            return Ok(address.clone());
        }
        let named = self.file().map(|file| reach::address(file, environment)).transpose();
        named.map(|named| Address::Tcp(named.unwrap_or(Admin::default().address))).map_err(|problems| problems.to_string())
    }

    /// The same, with the token of the config.
    ///
    /// # Errors
    ///
    /// As [`Self::address`].
    pub(super) fn admin(&self, environment: &Environment) -> Result<(Address, Option<Secret>), String> {
        let named = self.file().map(|file| reach::admin(file, environment)).transpose().map_err(|problems| problems.to_string())?;
        let Admin { address, token } = named.unwrap_or_default();
        Ok((self.address.clone().unwrap_or(Address::Tcp(address)), token.map(|token| token.0)))
    }

    /// As for serving: a file that is there but can't be read is an error.
    fn file(&self) -> Option<&Path> {
        let default = Path::new(DEFAULT_FILE);
        self.config.as_deref().or_else(|| default.symlink_metadata().is_ok().then_some(default))
    }
}
