//! The caller of one request, as step 2 found it.

use std::net::IpAddr;

use crate::types::{ClientName, Digest, ForeignName, Region, Subnet, Tier};

/// The caller of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its name, if it has proved one.
    pub name: Option<Name>,
    /// Its tier.
    pub tier: Option<Tier>,
    /// Where it is.
    pub region: Option<Region>,
    /// Its address; `None` on a Unix socket without a trusted word on it.
    pub ip: Option<IpAddr>,
    /// The session that it says the request belongs to, where the config says how it says so.
    pub session: Option<Digest>,
    /// The provider's key that it brings, where that is what the provider sees: whoever holds it is one caller.
    pub credential: Option<Digest>,
    /// Whether a credential that it presented is ours, and so no provider's business.
    pub key_is_ours: bool,
}

/// What a caller is called, and by which proof. Names of two kinds are never the same, whatever their letters: who may choose the
/// name in a token or a certificate can't choose to be the client of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// By a client key: as the config calls it.
    Key(ClientName),
    /// By a token: as its issuer calls it.
    Token(ForeignName),
    /// By the certificate of its connection: as the certificate calls it.
    Certificate(ForeignName),
    /// By the certificate of its connection: as the config calls all that one of its rules fits.
    Rule(ClientName),
}

impl Name {
    /// The name as text: what logs show, and what a limit's `client` is compared with.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(name) | Self::Rule(name) => name.as_str(),
            Self::Token(name) | Self::Certificate(name) => name.as_str(),
        }
    }
}

/// What makes a caller the same as another: where something is counted for each of them, this is its key. It hashes the same for
/// as long as the process runs, from whichever request it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity<'c> {
    /// A client that has proved its name, wherever it calls from.
    Named(&'c Name),
    /// A stranger with a provider's key of its own, wherever it calls from.
    Holder(Digest),
    /// A stranger, by where it calls from.
    At(Subnet),
    /// A stranger on this machine, over a Unix socket.
    Local,
}

impl Client {
    /// Who it is, as far as anybody can tell.
    #[must_use]
    pub fn identity(&self) -> Identity<'_> {
        match (&self.name, self.credential, self.ip) {
            (Some(name), ..) => Identity::Named(name),
            (None, Some(credential), _) => Identity::Holder(credential),
            (None, None, Some(ip)) => Identity::At(ip.into()),
            (None, None, None) => Identity::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    fn named(name: Name) -> Client {
        Client { name: Some(name), ..Client::default() }
    }

    fn at(ip: &str) -> Client {
        Client { ip: Some(ip.parse().unwrap()), ..Client::default() }
    }

    #[test]
    fn a_proof_makes_the_client_else_its_own_key_and_else_its_subnet() {
        let web = || named(Name::Key("web".parse().unwrap()));
        let holding = |client: Client, key: &str| Client { credential: Some(Digest::of(key.as_bytes())), ..client };
        let elsewhere = |client: Client| Client { ip: Some([1, 2, 3, 4].into()), ..client };
        for (one, other, same) in [
            (web(), elsewhere(web()), true),
            (web(), holding(web(), "sk-1"), true),
            (elsewhere(web()), at("1.2.3.4"), false),
            (holding(at("1.2.3.4"), "sk-1"), holding(at("5.6.7.8"), "sk-1"), true),
            (holding(at("1.2.3.4"), "sk-1"), holding(at("1.2.3.4"), "sk-2"), false),
            (holding(at("1.2.3.4"), "sk-1"), at("1.2.3.4"), false),
            (at("2001:db8::1"), at("2001:db8::2"), true),
            (at("1.2.3.4"), at("1.2.3.5"), false),
            (Client::default(), at("::1"), false),
        ] {
            assert_eq!(one.identity() == other.identity(), same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn names_of_two_kinds_are_never_one_client_whatever_their_letters() {
        let foreign = || ForeignName::new("web").unwrap();
        let all = [
            named(Name::Key("web".parse().unwrap())),
            named(Name::Token(foreign())),
            named(Name::Certificate(foreign())),
            named(Name::Rule("web".parse().unwrap())),
        ];
        let hasher = RandomState::new();
        for (a, one) in all.iter().enumerate() {
            for (b, other) in all.iter().enumerate() {
                assert_eq!(one.identity() == other.identity(), a == b);
                assert_eq!(hasher.hash_one(one.identity()) == hasher.hash_one(other.identity()), a == b);
            }
            assert_eq!(one.name.as_ref().map(Name::as_str), Some("web"));
        }
    }
}
