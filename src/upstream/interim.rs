//! A bound on the interim replies (RFC 9110 §15.2) before a reply. hyper steps over them and counts none.
//!
//! Only the first ten bytes behind a request are looked at, unless they begin an interim reply. A write in the middle of a
//! reply, when an upload goes on while it is answered, has ten bytes of the body looked at: they begin nothing.

/// How many interim replies may come before the reply.
const MOST: u32 = 100;

/// How an interim reply begins, but for the minor version.
const BEGINNING: &[u8; 10] = b"HTTP/1.x 1";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// Nothing is expected to begin.
    #[default]
    Passing,
    /// So many bytes agree with the beginning of an interim reply.
    Line(usize),
    /// In an interim reply's head; whether anything stands on the line at hand.
    Head { filled: bool },
}

/// More interim replies than anybody needs.
#[derive(Debug)]
pub(super) struct TooMany;

impl std::fmt::Display for TooMany {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "more than {MOST} interim replies")
    }
}

impl std::error::Error for TooMany {}

/// Follows the interim replies of one connection.
#[derive(Debug, Default)]
pub(super) struct Interim {
    at: At,
    count: u32,
}

impl Interim {
    /// A request goes out: what comes next is a head.
    pub(super) fn asked(&mut self) {
        if self.at == At::Passing {
            *self = Self { at: At::Line(0), count: 0 };
        }
    }

    /// Looks at what has come.
    ///
    /// # Errors
    ///
    /// If it is one interim reply too many.
    pub(super) fn inspect(&mut self, bytes: &[u8]) -> Result<(), TooMany> {
        match (self.at, bytes) {
            (At::Passing, _) => Ok(()),
            // How nearly every reply begins.
            (At::Line(0), [b'H', _, _, _, _, _, _, _, _, b'2'..=b'9', ..]) => {
                self.at = At::Passing;
                Ok(())
            }
            _ => self.follow(bytes),
        }
    }

    fn follow(&mut self, bytes: &[u8]) -> Result<(), TooMany> {
        for byte in bytes {
            self.at = match self.at {
                At::Passing => break,
                At::Line(length) if *byte != BEGINNING[length] && BEGINNING[length] != b'x' => At::Passing,
                At::Line(length) if length + 1 < BEGINNING.len() => At::Line(length + 1),
                At::Line(_) => {
                    self.count += 1;
                    if self.count > MOST {
                        return Err(TooMany);
                    }
                    At::Head { filled: true }
                }
                At::Head { filled: false } if *byte == b'\n' => At::Line(0),
                At::Head { filled } => At::Head { filled: *byte != b'\n' && (filled || *byte != b'\r') },
            };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is one too many, read in parts of `size` bytes.
    fn refused(text: &str, size: usize) -> bool {
        let mut interim = Interim::default();
        interim.asked();
        text.as_bytes().chunks(size).any(|part| interim.inspect(part).is_err())
    }

    #[test]
    fn a_hundred_interim_replies_pass_and_no_more_however_they_are_read() {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        for size in [1, 2, 7, 10, 11, 64, 1 << 20] {
            assert!(!refused(&(hints.repeat(100) + reply), size), "{size}");
            assert!(refused(&(hints.repeat(101) + reply), size), "{size}");
            assert!(refused(&("HTTP/1.0 100 \n\n".repeat(101) + reply), size), "{size}");
        }
    }

    #[test]
    fn each_request_has_its_own_hundred() {
        let mut interim = Interim::default();
        for _ in 0..3 {
            interim.asked();
            let text = "HTTP/1.1 100 Continue\r\n\r\n".repeat(100) + "HTTP/1.1 200 OK\r\n\r\n";
            assert!(interim.inspect(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn a_body_that_looks_like_interim_replies_is_none() {
        let body = "HTTP/1.1 100 Continue\r\n\r\n".repeat(200);
        assert!(!refused(&format!("HTTP/1.1 200 OK\r\n\r\n{body}"), 1 << 20));
        assert!(!refused(&format!("garbage {body}"), 5));
    }
}
