//! Certificates and private keys: that they can be read, hold what they should and fit each other.

use std::path::Path;

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::Review;
use crate::config::{ListenTls, files, path::FieldPath, problem::Fault};

impl Review<'_> {
    /// Refuses a certificate or a key that can't be read, and a key that is not the certificate's.
    pub(super) fn identity(&mut self, at: &FieldPath, tls: &ListenTls) {
        let chain = self.pem(&at.then("certificate"), &tls.certificate, "CERTIFICATE", certificates);
        let key = |pem: &[u8]| PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it holds no private key".to_owned());
        let key = self.pem(&at.then("key"), &tls.key, "PRIVATE KEY", key);
        let (Some(chain), Some(key)) = (chain, key) else { return };
        if let Err(error) = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()) {
            let message = format!("the certificate and this key can't be used together: {error}");
            self.value(&at.then("key"), Fault::new(message, "give the key that the first certificate of the chain was made for"));
        }
    }

    /// Refuses a file without a certificate that can be a root.
    pub(super) fn roots(&mut self, at: &FieldPath, path: &Path) {
        self.pem(at, path, "CERTIFICATE", |pem| match RootCertStore::empty().add_parsable_certificates(certificates(pem)?) {
            (0, _) => Err("no certificate in it can be a root".to_owned()),
            _ => Ok(()),
        });
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

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err("it is no PEM file".to_owned()),
    }
}
