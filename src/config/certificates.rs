//! Certificates and private keys in PEM files: read, and held against each other. The reasons are words for operators.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};

/// The one source of cryptography.
#[must_use]
pub fn crypto() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificates of a PEM file, in their order.
///
/// # Errors
///
/// If it holds none, or is cut off in the middle of one.
pub fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if certificates.is_empty() => Err("it holds no certificate".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err("it is no PEM file".to_owned()),
    }
}

/// The first private key of a PEM file.
///
/// # Errors
///
/// If it holds none.
pub fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it holds no private key".to_owned())
}

/// The roots of a PEM file. A bundle may hold a few that nobody can use; the rest still counts.
///
/// # Errors
///
/// If none can be used.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    match store.add_parsable_certificates(chain(pem)?) {
        (0, _) => Err("no certificate in it can be a root".to_owned()),
        _ => Ok(store),
    }
}

/// Makes sure that the key was made for the first certificate of the chain.
///
/// # Errors
///
/// If it was not, or either can't be used.
pub fn paired(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'static>) -> Result<(), String> {
    CertifiedKey::from_der(chain.to_vec(), key.clone_key(), &aws_lc_rs::default_provider())
        .map(drop)
        .map_err(|error| format!("the certificate and this key can't be used together: {error}"))
}

/// The last moment at which a certificate holds, in seconds of Unix time; `None` if it can't be read.
///
/// The one who checks certificates tells it of one that has expired, and at the end of time all have.
#[must_use]
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<u64> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], end_of_time, &[]) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Some(not_after.as_secs()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_from_it() {
        for (year, unix) in [(2001, 978_307_200), (2049, 2_493_072_000), (2050, 2_524_608_000), (9999, 253_370_764_800)] {
            for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
                let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
                params.not_before = date_time_ymd(2000, 1, 1);
                params.not_after = date_time_ymd(year, 1, 1);
                params.is_ca = is_ca;
                let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
                assert_eq!(not_after(certificate.der()), Some(unix), "{year}");
            }
        }
        assert_eq!(not_after(&CertificateDer::from(vec![0x30, 0x00])), None);
    }

    #[test]
    fn a_key_of_another_certificate_is_told() {
        let identity = || {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
            (chain(certificate.pem().as_bytes()).unwrap(), super::key(key.serialize_pem().as_bytes()).unwrap())
        };
        let (ours, others) = (identity(), identity());
        assert_eq!(paired(&ours.0, &ours.1), Ok(()));
        assert!(paired(&ours.0, &others.1).is_err());
    }

    #[test]
    fn a_file_that_is_cut_off_is_no_chain() {
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
        let pem = certificate.pem();
        let end = pem.find("-----END").unwrap();
        for cut in (0..end).step_by(16) {
            assert!(chain(&pem.as_bytes()[..cut]).is_err(), "{cut}");
        }
        assert_eq!(chain(pem.as_bytes()).unwrap(), [certificate.der().clone()]);
    }
}
