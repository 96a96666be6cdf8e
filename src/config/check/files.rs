//! Certificates and private keys: that they can be read and hold what they should.

use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::Review;
use crate::config::{files, path::FieldPath, problem::Fault};

impl Review<'_> {
    /// Refuses a file that holds no certificate in PEM form.
    pub(super) fn certificates(&mut self, at: &FieldPath, path: &Path) {
        let readable = |pem: &[u8]| match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Ok(()),
            Ok(_) => Err("it holds no certificate".to_owned()),
            Err(_) => Err("it is no PEM file".to_owned()),
        };
        self.pem(at, path, "a PEM file with `BEGIN CERTIFICATE`", readable);
    }

    /// Refuses a file that holds no private key in PEM form.
    pub(super) fn private_key(&mut self, at: &FieldPath, path: &Path) {
        let readable = |pem: &[u8]| PrivateKeyDer::from_pem_slice(pem).map(drop).map_err(|_| "it holds no private key".to_owned());
        self.pem(at, path, "a PEM file with `BEGIN PRIVATE KEY`", readable);
    }

    fn pem(&mut self, at: &FieldPath, path: &Path, wanted: &str, readable: impl Fn(&[u8]) -> Result<(), String>) {
        self.files.push(path.to_owned());
        if let Err(why) = files::read(path, files::MAX_SIZE).and_then(|pem| readable(&pem)) {
            let fault = Fault::new(
                format!("the file `{}` can't be used: {why}", path.display()),
                format!("give the path of {wanted} that this user may read"),
            );
            self.value(at, fault);
        }
    }
}
