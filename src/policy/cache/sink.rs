//! What is told of a request, one unmistakable word after the other, into the code that authenticates it.

use aws_lc_rs::hmac::{Context, Key};

use super::{
    json::Quoted,
    number::{Known, known},
};

/// Small pieces are gathered up to here: a call of the code costs more than copying them.
const GATHERED: usize = 512;

/// The end of a text of unknown length: a byte that is in no UTF-8.
const END: u8 = 0xff;

/// Takes what is told. Every word begins with a byte that says what it is and ends where it says itself, so that nobody finds
/// two sequences of words that are the same bytes.
pub(super) struct Sink {
    code: Context,
    gathered: [u8; GATHERED],
    length: usize,
    /// Nothing is taken: what is read now makes no difference.
    pub(super) is_deaf: bool,
}

impl Sink {
    pub(super) fn new(key: &Key) -> Self {
        Self { code: Context::with_key(key), gathered: [0; GATHERED], length: 0, is_deaf: false }
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.is_deaf {
            return;
        }
        if let Some(room) = self.gathered.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
            return;
        }
        self.code.update(&self.gathered[..self.length]);
        self.length = 0;
        if bytes.len() < GATHERED {
            self.gathered[..bytes.len()].copy_from_slice(bytes);
            self.length = bytes.len();
        } else {
            self.code.update(bytes);
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.gathered.get_mut(self.length) {
            Some(room) if !self.is_deaf => {
                *room = byte;
                self.length += 1;
            }
            _ => self.put(&[byte]),
        }
    }

    /// A word without anything in it.
    pub(super) fn word(&mut self, word: Word) {
        self.byte(word as u8);
    }

    /// Any bytes, by their length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.word(Word::Bytes);
        self.put(&(bytes.len() as u64).to_le_bytes());
        self.put(bytes);
    }

    /// A JSON string or a member's name, which are UTF-8.
    pub(super) fn text(&mut self, text: Quoted<'_>) {
        self.word(Word::Text);
        text.pieces(|piece| self.put(piece));
        self.byte(END);
    }

    /// The same of a text that is known without its escapes.
    pub(super) fn plain(&mut self, text: &[u8]) {
        self.word(Word::Text);
        self.put(text);
        self.byte(END);
    }

    /// A number, by its letters.
    pub(super) fn letters(&mut self, letters: &[u8]) {
        self.word(Word::Number);
        self.put(letters);
        self.byte(END);
    }

    /// A number, by its value where that is certain.
    pub(super) fn number(&mut self, letters: &[u8]) {
        match known(letters) {
            Known::Verbatim(letters) => self.letters(letters),
            Known::Value(letters) => self.letters(&letters),
            Known::Doubtful(letters) => {
                self.word(Word::Doubtful);
                self.letters(letters);
            }
        }
    }

    /// The code of all that was told.
    pub(super) fn finish(mut self) -> [u8; 32] {
        self.code.update(&self.gathered[..self.length]);
        let mut code = [0; 32];
        code.copy_from_slice(self.code.sign().as_ref());
        code
    }
}

/// What a word begins with.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Word {
    /// A length in 8 bytes and as many bytes.
    Bytes = b'b',
    /// UTF-8 and an end.
    Text = b's',
    /// Letters and an end.
    Number = b'n',
    /// Before a number that is nothing but its letters.
    Doubtful = b'd',
    True = b't',
    False = b'f',
    Null = b'z',
    Array = b'[',
    ArrayEnd = b']',
    /// An object whose members are told in the order of their names.
    Sorted = b'<',
    /// An object whose members are told as they stand.
    Object = b'{',
    /// The end of either.
    ObjectEnd = b'}',
}
