//! Why an exchange with a provider failed: in which phase, for what reason, and whether the provider may have seen it.

use std::{error::Error, fmt, io, sync::Arc};

use super::interim::TooMany;

/// How far the exchange had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name, connecting, TLS, or waiting for a place in the pool: nothing was sent.
    Connect,
    /// The request went out, in whole or in part, and no reply has begun.
    Head,
    /// The reply has begun.
    Body,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The provider's name has no address.
    Resolve,
    /// The connection was refused or could not be made.
    Refused,
    /// The egress proxy opened no tunnel.
    Proxy,
    /// TLS could not be agreed on.
    Tls,
    /// The provider's certificate does not hold.
    Certificate(Flaw),
    /// The phase took longer than its timeout.
    Timeout,
    /// All connections that there may be were in use for that long: no fault of the provider's.
    Full,
    /// The connection or stream was closed or reset in the middle.
    Closed,
    /// What came was not HTTP.
    Protocol,
    /// The provider refused the stream unprocessed, again and again.
    Unprocessed,
    /// The client's upload broke off or stalled: not the provider's fault.
    Upload,
    /// The client's upload went beyond its bound.
    TooLarge,
}

/// Why a provider's certificate does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// Its time has not come, or this machine's clock is wrong.
    NotYetValid,
    /// It is for another name.
    WrongName,
    /// It leads to none of the roots: self-signed, or of an unknown authority.
    Untrusted,
    /// Anything else, such as a use that it is not meant for.
    Other,
}

/// A failed exchange.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How far it had come.
    pub phase: Phase,
    /// What went wrong.
    pub reason: Reason,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without a deeper cause.
    #[must_use]
    pub fn new(phase: Phase, reason: Reason) -> Self {
        Self { phase, reason, source: None }
    }

    /// A failure and its cause.
    #[must_use]
    pub fn because(phase: Phase, reason: Reason, source: impl Error + Send + Sync + 'static) -> Self {
        Self { phase, reason, source: Some(Arc::new(source)) }
    }

    /// What an error of hyper's means in this phase.
    #[must_use]
    pub fn from_hyper(phase: Phase, error: hyper::Error) -> Self {
        let reason = if let Some(broken) = find::<UploadBroken>(&error) {
            broken.reason()
        } else if error.is_parse() || error.is_parse_too_large() || has_too_many_interim(&error) {
            Reason::Protocol
        } else if phase == Phase::Head && is_unprocessed(&error) {
            Reason::Unprocessed
        } else if find::<io::Error>(&error).is_some_and(is_tls) {
            // Such as a provider that refuses our certificate: over TLS 1.3 it says so only after our side is done.
            Reason::Tls
        } else {
            Reason::Closed
        };
        Self::because(phase, reason, error)
    }

    /// The word for it in logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.phase, self.reason) {
            (_, Reason::Resolve) => "resolve",
            (_, Reason::Refused) => "connect_refused",
            (_, Reason::Proxy) => "proxy",
            (_, Reason::Tls) => "tls",
            (_, Reason::Certificate(flaw)) => match flaw {
                Flaw::Expired => "certificate_expired",
                Flaw::NotYetValid => "certificate_not_yet_valid",
                Flaw::WrongName => "certificate_wrong_name",
                Flaw::Untrusted => "certificate_untrusted",
                Flaw::Other => "certificate_invalid",
            },
            (Phase::Connect, Reason::Timeout) => "connect_timeout",
            (_, Reason::Full) => "connections_full",
            (Phase::Head, Reason::Timeout) => "first_byte_timeout",
            (Phase::Body, Reason::Timeout) => "idle_timeout",
            (_, Reason::Closed) => "closed",
            (_, Reason::Protocol) => "protocol",
            (_, Reason::Unprocessed) => "unprocessed",
            (_, Reason::Upload) => "upload",
            (_, Reason::TooLarge) => "upload_too_large",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// The upload's own error, found again in what hyper reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadBroken {
    /// The client's body ended with an error.
    Broken,
    /// The client's body went beyond its bound.
    TooLarge,
}

impl UploadBroken {
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Broken => Reason::Upload,
            Self::TooLarge => Reason::TooLarge,
        }
    }
}

impl fmt::Display for UploadBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => "the client's upload broke off",
            Self::TooLarge => "the client's upload is larger than allowed",
        })
    }
}

impl Error for UploadBroken {}

/// Whether the connection was given up for its interim replies.
fn has_too_many_interim(error: &hyper::Error) -> bool {
    find::<io::Error>(error).and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<TooMany>())
}

/// The first cause of type `E` in the chain behind `error`.
pub(super) fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The HTTP/2 reason that the provider gave, if it gave one.
pub(super) fn h2_reason(error: &(dyn Error + 'static)) -> Option<h2::Reason> {
    find::<h2::Error>(error).filter(|error| error.is_remote()).and_then(h2::Error::reason)
}

/// Whether the provider went away, naming a stream before this one as the last that it looked at (RFC 9113 §6.8). The
/// `h2` crate tells only such streams; those at or below the last one end with the connection, if they do.
pub(super) fn went_away(error: &(dyn Error + 'static)) -> bool {
    find::<h2::Error>(error).is_some_and(|error| error.is_remote() && error.is_go_away())
}

/// Whether the provider said that it did nothing with this stream (RFC 9113 §8.7).
fn is_unprocessed(error: &(dyn Error + 'static)) -> bool {
    went_away(error) || h2_reason(error) == Some(h2::Reason::REFUSED_STREAM)
}

/// Whether the connection ended before the reply's head was whole.
pub(super) fn is_cut(error: &hyper::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let lost = |error: &io::Error| matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
    error.is_incomplete_message() || find::<io::Error>(error).is_some_and(lost)
}

/// Whether an I/O error is TLS's own.
fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
