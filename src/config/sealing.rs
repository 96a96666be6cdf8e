//! `sealing:`: the master keys that open sealed texts.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::MasterKeyId;

/// The master keys. A text that begins with `sealed:` is opened with the one that it names, wherever a key or another secret may
/// stand: in `value`, in a variable, in a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// The first seals, all open: so two are in force while one takes over from the other.
    #[serde(default)]
    pub keys: Vec<MasterKeySource>,
}

impl Sealing {
    /// Makes every path independent of where the config stands.
    pub(super) fn start_paths_from(&mut self, directory: &Path) {
        self.keys.iter_mut().flat_map(|key| &mut key.file).for_each(|path| *path = directory.join(&*path));
    }
}

/// Where a master key comes from: `file` or `env`. It has 32 bytes and is written as hex or base64.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MasterKeySource {
    /// The name by which sealed texts ask for it. Every master key has its own, and it is never used again for another.
    pub id: MasterKeyId,
    /// A file that holds it. One that belongs to this user must not be open to others, as `ssh` wants it of keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// An environment variable that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}
