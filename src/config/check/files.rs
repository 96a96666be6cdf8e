//! Certificates and private keys: that they can be read, hold what they should and fit each other.

use std::path::Path;

use super::Review;
use crate::config::{certificates, files, path::FieldPath, problem::Fault};

impl Review<'_> {
    /// Refuses a certificate or a key that can't be read, and a key that is not the certificate's.
    pub(super) fn identity(&mut self, at: &FieldPath, certificate: &Path, key: &Path) {
        let chain = self.pem(&at.then("certificate"), certificate, "CERTIFICATE", certificates::chain);
        let key = self.pem(&at.then("key"), key, "PRIVATE KEY", certificates::key);
        let (Some(chain), Some(key)) = (chain, key) else { return };
        if let Err(message) = certificates::paired(&chain, &key) {
            self.value(&at.then("key"), Fault::new(message, "give the key that the first certificate of the chain was made for"));
        }
    }

    /// Refuses a file without a certificate that can be a root.
    pub(super) fn roots(&mut self, at: &FieldPath, path: &Path) {
        self.pem(at, path, "CERTIFICATE", certificates::roots);
    }

    /// What `read` makes of the file; where it can't, that is noted.
    fn pem<T>(&mut self, at: &FieldPath, path: &Path, label: &str, read: impl Fn(&[u8]) -> Result<T, String>) -> Option<T> {
        self.files.push(path.to_owned());
        match files::read(path, files::MAX_SIZE).and_then(|pem| read(&pem)) {
            Ok(held) => Some(held),
            Err(why) => {
                let message = format!("the file `{}` can't be used: {why}", path.display());
                self.value(at, Fault::new(message, format!("give the path of a PEM file with `BEGIN {label}` that this user may read")));
                None
            }
        }
    }
}
