//! Finds the usage in the end of a JSON body, without reading what stands before it.
//!
//! A model may be asked to write `"usage": {…}` into its reply, as the argument of a tool for one, and only the provider's
//! own word may count: the member of the outermost object. How deep a member stands shows from what is closed behind it.

use memchr::{memchr2, memmem::Finder};

/// What begins with the value under the name in the outermost object of a body, or in the last one of an outermost array, of
/// which `end` is the last part. `None` if there is none, or if the body is cut off.
pub(super) fn outermost<'b>(end: &'b [u8], name: &Finder<'_>) -> Option<&'b [u8]> {
    let name = (name, name.needle());
    let first = find(end, name)?;
    // Levels are counted from where the first one stands: those of `end` itself begin somewhere unknown.
    let mut text = Text { bytes: end, at: first, depth: 0 };
    let (mut outermost, mut level) = (first, 0);
    while let Some(at) = text.next_string()? {
        if text.depth <= level && end[at..].starts_with(name.1) && is_name(&end[at + name.1.len()..]) {
            (outermost, level) = (at, text.depth);
        }
    }
    let array = end.trim_ascii_end().last() == Some(&b']');
    if level - text.depth != 1 + i64::from(array) {
        return None;
    }
    end[outermost + name.1.len()..].trim_ascii_start().strip_prefix(b":")
}

/// Where the name first stands as one. Behind a backslash its first mark is part of some text; elsewhere two marks around
/// a word, and a colon behind them, can't be anything but a name in what is JSON.
fn find(bytes: &[u8], (finder, name): (&Finder<'_>, &[u8])) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + finder.find(bytes.get(from..)?)?;
        if at > 0 && bytes[at - 1] != b'\\' && is_name(&bytes[at + name.len()..]) {
            return Some(at);
        }
        from = at + name.len();
    }
}

fn is_name(behind: &[u8]) -> bool {
    behind.trim_ascii_start().first() == Some(&b':')
}

/// JSON that is stepped through for its strings and its levels alone.
struct Text<'b> {
    bytes: &'b [u8],
    at: usize,
    depth: i64,
}

impl<'b> Text<'b> {
    /// Steps over the next string: where it begins; nothing at the end. `None` if the text ends within it.
    fn next_string(&mut self) -> Option<Option<usize>> {
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => {
                    let start = self.at - 1;
                    self.string()?;
                    return Some(Some(start));
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
        }
        Some(None)
    }

    fn string(&mut self) -> Option<()> {
        loop {
            let found = memchr2(b'"', b'\\', self.bytes.get(self.at..)?)?;
            self.at += found + 1;
            if self.bytes[self.at - 1] == b'"' {
                return Some(());
            }
            self.at += 1;
        }
    }
}
