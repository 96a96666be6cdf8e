//! What the certificate of a client calls it.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::types::ForeignName;

/// ASN.1's tags for what a subject is made of (X.690 §8): SEQUENCE, SET, OBJECT IDENTIFIER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// `id-at-commonName`, 2.5.4.3 (RFC 5280 appendix A.1).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The tags of strings that hold ASCII or UTF-8: UTF8String, PrintableString, IA5String. Others are of the last century.
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];

/// The name in a certificate: its first URI; without URIs, its first DNS name, in small letters; with neither, the common name of its
/// subject. The first kind that is there decides (RFC 9525 §2: who is named by alternative names is not named by a subject), so
/// `None` if what stands there can't be a name.
///
/// The certificate must have been verified.
#[must_use]
pub fn of(certificate: &CertificateDer<'_>) -> Option<ForeignName> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    if let Some(uri) = certificate.valid_uri_names().next() {
        return ForeignName::new(uri);
    }
    if let Some(name) = certificate.valid_dns_names().next() {
        // Letters of both cases are the same in it (RFC 4343).
        return ForeignName::new(&name.to_ascii_lowercase());
    }
    ForeignName::new(common_name(certificate.subject())?)
}

/// The most specific common name of a subject, which is its last (RFC 5280 §4.1.2.4: a sequence of sets of types and values).
fn common_name(subject: &[u8]) -> Option<&str> {
    let mut found = None;
    let mut names = subject;
    while !names.is_empty() {
        let (set, behind) = element(names, SET)?;
        names = behind;
        let mut attributes = set;
        while !attributes.is_empty() {
            let (attribute, behind) = element(attributes, SEQUENCE)?;
            attributes = behind;
            let (kind, value) = element(attribute, OBJECT_IDENTIFIER)?;
            if kind == COMMON_NAME {
                let tag = value.first().filter(|tag| STRINGS.contains(tag))?;
                found = Some(std::str::from_utf8(element(value, *tag)?.0).ok()?);
            }
        }
    }
    found
}

/// The content of the element that `bytes` begin with, if it has this tag, and what stands behind it. Lengths have the
/// shortest form (X.690 §10.1) and at most two bytes: a whole certificate has no more in a handshake.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match bytes {
        [found, length @ 0..=0x7f, rest @ ..] if *found == tag => (usize::from(*length), rest),
        [found, 0x81, length @ 0x80..=0xff, rest @ ..] if *found == tag => (usize::from(*length), rest),
        [found, 0x82, high @ 1..=0xff, low, rest @ ..] if *found == tag => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn names(uris: &[&str], dns: &[&str]) -> Vec<SanType> {
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        uris.chain(dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()))).collect()
    }

    fn subject(names: Vec<SanType>, common_names: &[DnValue]) -> Option<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.distinguished_name = DistinguishedName::new();
        for (at, name) in common_names.iter().enumerate() {
            // The writer keeps one value of each kind: the rest stand in others, that no look-up may take for it.
            let kind = if at == 0 { DnType::CommonName } else { DnType::OrganizationName };
            params.distinguished_name.push(kind, name.clone());
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        of(certificate.der()).map(|subject| subject.as_str().to_owned())
    }

    #[test]
    fn a_uri_names_the_client_then_a_dns_name_then_the_common_name() {
        let common = |name: &str| [DnValue::Utf8String(name.to_owned())];
        for (found, expected) in [
            (subject(names(&["spiffe://prod/web", "spiffe://prod/b"], &["web.example"]), &common("web")), Some("spiffe://prod/web")),
            (subject(names(&[], &["Web.Example", "b.example"]), &common("web")), Some("web.example")),
            (subject(vec![], &common("Jürgen")), Some("Jürgen")),
            (subject(vec![SanType::IpAddress([10, 0, 0, 1].into())], &common("web")), Some("web")),
            (subject(vec![], &[DnValue::PrintableString("web".try_into().unwrap()), DnValue::Utf8String("org".to_owned())]), Some("web")),
            (subject(vec![], &common(&"x".repeat(300))), Some(&*"x".repeat(300))),
            (subject(vec![], &[]), None),
            // What names it can't be read or shown: no other name takes its place.
            (subject(names(&["spiffe://prod/we b\n"], &["web.example"]), &common("web")), None),
            (subject(vec![], &common("web\0.example")), None),
            (subject(vec![], &[DnValue::BmpString("web".try_into().unwrap())]), None),
        ] {
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn a_damaged_certificate_names_nobody_and_breaks_nothing() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "web");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der().to_vec();
        for end in 0..der.len() {
            assert_eq!(of(&CertificateDer::from(&der[..end])), None);
        }
        // A name of one set: SET { SEQUENCE { 2.5.4.3, UTF8String "web" } }, and every prefix and flip of it.
        let subject = [0x31, 12, 0x30, 10, 0x06, 3, 0x55, 4, 3, 0x0c, 3, b'w', b'e', b'b'];
        assert_eq!(common_name(&subject), Some("web"));
        let twice = [subject, [0x31, 12, 0x30, 10, 0x06, 3, 0x55, 4, 3, 0x0c, 3, b'a', b'p', b'p']].concat();
        assert_eq!(common_name(&twice), Some("app"));
        for at in 0..subject.len() {
            assert!(at == 0 || common_name(&subject[..at]).is_none(), "{at}");
            for byte in 0..=255 {
                let mut flipped = subject;
                flipped[at] = byte;
                common_name(&flipped);
            }
        }
    }
}
