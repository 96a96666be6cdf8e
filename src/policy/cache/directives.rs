//! What a request says of caches: the directives of RFC 9111 §5.2.1.
//!
//! Where a directive is broken or said twice, what asks for more freshness holds: no mistake of a client's gets it an older
//! answer than it wanted.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// The seconds that a number stands for which is too large to be one (RFC 9111 §1.2.2).
const LONGEST: u64 = 1 << 31;

/// What a client takes from a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Neither answer this from what is stored nor store the answer.
    pub no_store: bool,
    /// Don't answer this from what is stored.
    pub no_cache: bool,
    /// Answer this from what is stored or not at all.
    pub only_if_cached: bool,
    /// The oldest answer that is wanted.
    pub max_age: Option<Duration>,
    /// How long an answer must still be fresh.
    pub min_fresh: Option<Duration>,
    /// How stale an answer may be, if the client has said so.
    pub max_stale: Option<MaxStale>,
}

/// How stale an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// However stale it is.
    Any,
    /// At most by so much.
    By(Duration),
}

impl Directives {
    /// Reads the request's `Cache-Control` fields, and `Pragma` where there is none of them (RFC 9111 §5.4).
    #[must_use]
    pub fn of<'a>(cache_control: impl Iterator<Item = &'a [u8]>, pragma: Option<&[u8]>) -> Self {
        let (mut directives, mut said) = (Self::default(), false);
        for field in cache_control {
            said = true;
            Members(field).for_each(|member| directives.take(member));
        }
        if !said && let Some(pragma) = pragma {
            directives.no_cache = Members(pragma).any(|member| parts(member).0.eq_ignore_ascii_case(b"no-cache"));
        }
        directives
    }

    fn take(&mut self, member: &[u8]) {
        let (name, value) = parts(member);
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("only-if-cached") {
            self.only_if_cached = true;
        } else if is("max-age") {
            let age = value.and_then(seconds).unwrap_or_default();
            self.max_age = Some(self.max_age.map_or(age, |other| other.min(age)));
        } else if is("min-fresh") {
            let fresh = value.and_then(seconds).unwrap_or(Duration::MAX);
            self.min_fresh = self.min_fresh.max(Some(fresh));
        } else if is("max-stale") {
            let stale = value.map_or(MaxStale::Any, |value| MaxStale::By(seconds(value).unwrap_or_default()));
            self.max_stale = Some(self.max_stale.map_or(stale, |other| other.least(stale)));
        }
    }
}

impl MaxStale {
    /// Whether it lets an answer be stale by so much.
    #[must_use]
    pub fn allows(self, by: Duration) -> bool {
        match self {
            Self::Any => true,
            Self::By(most) => by <= most,
        }
    }

    fn least(self, other: Self) -> Self {
        match (self, other) {
            (Self::By(one), Self::By(two)) => Self::By(one.min(two)),
            (Self::By(one), Self::Any) | (Self::Any, Self::By(one)) => Self::By(one),
            (Self::Any, Self::Any) => Self::Any,
        }
    }
}

/// A member's name and its value, without the quotes that it may have though it should not (RFC 9111 §5.2).
fn parts(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(at) = memchr::memchr(b'=', member) else {
        return (member, None);
    };
    let value = member[at + 1..].trim_ascii();
    let unquoted = value.strip_prefix(b"\"").map_or(value, |value| value.strip_suffix(b"\"").unwrap_or(value));
    (member[..at].trim_ascii_end(), Some(unquoted))
}

/// A number of seconds (RFC 9111 §1.2.2); nothing if it is none.
fn seconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() {
        return None;
    }
    let mut sum = 0_u64;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum = (sum * 10 + digit).min(LONGEST);
    }
    Some(Duration::from_secs(sum))
}

/// The members of a list (RFC 9110 §5.6.1): a comma within quotes ends none.
struct Members<'a>(&'a [u8]);

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = self.0.iter().position(|byte| {
            let ends = *byte == b',' && !quoted;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                _ => {}
            }
            ends
        });
        let (member, rest) = end.map_or((self.0, &[][..]), |end| (&self.0[..end], &self.0[end + 1..]));
        self.0 = rest;
        Some(member.trim_ascii())
    }
}
