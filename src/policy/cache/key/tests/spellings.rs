//! Any question in any spelling: beside a model of what it means that knows nothing of keys, and another reader of JSON.

use std::fmt::Write;

use proptest::{prelude::*, sample::Index};
use serde::de::IgnoredAny;

use super::*;

/// A value as it was meant: members and numbers as they are to stand there.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    Integer(i64),
    /// So many thousandths.
    Fraction(i64),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// Where order means nothing, in a chat.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Top,
    Message,
    Tool,
    Function,
    Deeper,
}

impl Level {
    fn of(self, name: &str) -> Self {
        match (self, name) {
            (Self::Top, "messages") | (Self::Message, "content") => Self::Message,
            (Self::Top, "tools") => Self::Tool,
            (Self::Tool, "function") => Self::Function,
            _ => Self::Deeper,
        }
    }
}

/// What a body means: two that mean different things are never the same text.
fn meaning(tree: &Tree, level: Level, is_member: bool, text: &mut String) {
    match tree {
        Tree::Null => text.push_str("null"),
        Tree::Bool(truth) => write!(text, "{truth}").unwrap(),
        Tree::Integer(number) => write!(text, "{number}").unwrap(),
        Tree::Fraction(thousandths) if is_member && thousandths % 1_000 == 0 => write!(text, "{}", thousandths / 1_000).unwrap(),
        Tree::Fraction(thousandths) => write!(text, "{thousandths}/1000").unwrap(),
        Tree::Text(letters) => write!(text, "{letters:?}").unwrap(),
        Tree::Array(values) => {
            text.push('[');
            for value in values {
                meaning(value, level, false, text);
                text.push(',');
            }
            text.push(']');
        }
        Tree::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(name, _)| level != Level::Top || name != "user").collect();
            if level != Level::Deeper {
                members.sort_by_key(|(name, _)| name);
            }
            text.push('{');
            for (name, value) in members {
                write!(text, "{name:?}:").unwrap();
                meaning(value, level.of(name), level != Level::Deeper, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

fn meant(tree: &Tree) -> String {
    let mut text = String::new();
    meaning(tree, Level::Top, false, &mut text);
    text
}

/// Dice that decide how it is written.
struct Pen<'d> {
    dice: &'d [u8],
    at: usize,
    text: String,
}

impl<'d> Pen<'d> {
    fn write(tree: &Tree, dice: &'d [u8]) -> String {
        let mut pen = Self { dice, at: 0, text: String::new() };
        pen.value(tree, Level::Top, false);
        pen.blank();
        pen.text
    }

    fn roll(&mut self, sides: u8) -> u8 {
        self.at += 1;
        self.dice.get(self.at % self.dice.len().max(1)).map_or(0, |die| die.wrapping_add(self.at as u8) % sides)
    }

    fn blank(&mut self) {
        let blank = ["", "", "", " ", "\n", "\r\n", "\t", "  "][usize::from(self.roll(8))];
        self.text.push_str(blank);
    }

    fn quoted(&mut self, letters: &str) {
        self.text.push('"');
        for letter in letters.chars() {
            let short = match letter {
                '"' => Some("\\\""),
                '\\' => Some("\\\\"),
                '/' => Some("\\/"),
                '\u{8}' => Some("\\b"),
                '\u{c}' => Some("\\f"),
                '\n' => Some("\\n"),
                '\r' => Some("\\r"),
                '\t' => Some("\\t"),
                _ => None,
            };
            let must = letter < ' ' || matches!(letter, '"' | '\\');
            match (self.roll(6), short) {
                (0, _) => self.units(letter),
                (1..=3, Some(short)) => self.text.push_str(short),
                (_, Some(short)) if must => self.text.push_str(short),
                _ if must => self.units(letter),
                _ => self.text.push(letter),
            }
        }
        self.text.push('"');
    }

    fn units(&mut self, letter: char) {
        for unit in letter.encode_utf16(&mut [0; 2]) {
            match self.roll(2) {
                0 => write!(self.text, "\\u{unit:04x}").unwrap(),
                _ => write!(self.text, "\\u{unit:04X}").unwrap(),
            }
        }
    }

    /// The same value in other letters, where spelling makes no difference.
    fn number(&mut self, thousandths: i64, plain: String, is_member: bool) {
        let spelling = match if is_member { self.roll(4) } else { 0 } {
            0 => plain,
            1 => format!("{thousandths}e-3"),
            2 if thousandths != 0 => format!("{thousandths}00E-05"),
            _ => format!("{thousandths}.0e-3"),
        };
        self.text.push_str(&spelling);
    }

    fn value(&mut self, tree: &Tree, level: Level, is_member: bool) {
        self.blank();
        match tree {
            Tree::Null => self.text.push_str("null"),
            Tree::Bool(truth) => write!(self.text, "{truth}").unwrap(),
            // Beyond what a double tells apart there is one spelling, and zero has a sign in others.
            Tree::Integer(number) if number.abs() >= 1_000_000_000 => write!(self.text, "{number}").unwrap(),
            Tree::Integer(number) => self.number(number * 1_000, number.to_string(), is_member),
            Tree::Fraction(thousandths) => {
                let sign = if *thousandths < 0 { "-" } else { "" };
                let plain = format!("{sign}{}.{:03}", (thousandths / 1_000).abs(), (thousandths % 1_000).abs());
                self.number(*thousandths, plain, is_member);
            }
            Tree::Text(letters) => self.quoted(letters),
            Tree::Array(values) => {
                self.text.push('[');
                for (at, value) in values.iter().enumerate() {
                    self.text.push_str(if at > 0 { "," } else { "" });
                    self.value(value, level, false);
                    self.blank();
                }
                self.blank();
                self.text.push(']');
            }
            Tree::Object(members) => self.object(members, level),
        }
    }

    fn object(&mut self, members: &[(String, Tree)], level: Level) {
        let mut members: Vec<_> = members.iter().collect();
        if level != Level::Deeper {
            for at in (1..members.len()).rev() {
                let with = usize::from(self.roll(u8::MAX)) % (at + 1);
                members.swap(at, with);
            }
        }
        self.text.push('{');
        for (at, (name, value)) in members.into_iter().enumerate() {
            self.text.push_str(if at > 0 { "," } else { "" });
            self.blank();
            self.quoted(name);
            self.blank();
            self.text.push(':');
            self.value(value, level.of(name), level != Level::Deeper);
            self.blank();
        }
        self.blank();
        self.text.push('}');
    }
}

/// Values and names of few letters, so that two questions are often nearly the same or the same.
fn tree(depth: u32) -> BoxedStrategy<Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        (-2_i64..3).prop_map(Tree::Integer),
        prop::sample::select(vec![9_007_199_254_740_992, 9_007_199_254_740_993, 9_007_199_254_740_994]).prop_map(Tree::Integer),
        any::<i64>().prop_map(Tree::Integer),
        prop::sample::select(vec![-1_500, 1, 500, 1_000, 2_000, 10]).prop_map(Tree::Fraction),
        prop::sample::select(vec!["", "a", "ab", "1", "null", "é", "e\u{301}", "\"", "\\", "/", "\n", "😀", "\0"])
            .prop_map(|text| Tree::Text(text.into())),
        any::<String>().prop_map(Tree::Text),
    ];
    leaf.prop_recursive(depth, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Array),
            members(prop::sample::select(vec!["a", "b", "ab", "é", "", "user", "type\n", "content"]), inner).prop_map(Tree::Object),
        ]
    })
    .boxed()
}

fn members(name: impl Strategy<Value = &'static str> + 'static, value: BoxedStrategy<Tree>) -> BoxedStrategy<Vec<(String, Tree)>> {
    let once = |members: Vec<(&'static str, Tree)>| {
        let mut once: Vec<(String, Tree)> = Vec::new();
        for (name, value) in members {
            if once.iter().all(|(before, _)| before != name) {
                once.push((name.to_owned(), value));
            }
        }
        once
    };
    prop::collection::vec((name, value), 0..5).prop_map(once).boxed()
}

fn question() -> impl Strategy<Value = Tree> {
    let part = members(prop::sample::select(vec!["text", "a", "content", "user"]), tree(2)).prop_map(Tree::Object);
    let content = prop_oneof![tree(1), prop::collection::vec(part, 0..3).prop_map(Tree::Array)].boxed();
    let message = members(prop::sample::select(vec!["role", "content", "name", "tool_calls"]), content).prop_map(Tree::Object);
    let function = members(prop::sample::select(vec!["name", "parameters", "strict"]), tree(2)).prop_map(Tree::Object).boxed();
    let tool = members(prop::sample::select(vec!["function", "parameters", "name"]), function).prop_map(Tree::Object);
    let top = members(prop::sample::select(vec!["model", "n", "x", "temperature", "response_format", "user", "é"]), tree(3));
    (top, prop::collection::vec(message, 0..3), prop::collection::vec(tool, 0..3)).prop_map(|(mut top, messages, tools)| {
        top.push(("stream".into(), Tree::Bool(true)));
        if !messages.is_empty() {
            top.push(("messages".into(), Tree::Array(messages)));
        }
        if !tools.is_empty() {
            top.push(("tools".into(), Tree::Array(tools)));
        }
        Tree::Object(top)
    })
}

/// Changes the leaf at `at`, in the order in which they are visited, or says how many there are.
fn change(tree: &mut Tree, at: &mut usize) -> bool {
    let is_leaf = match tree {
        Tree::Array(values) => values.is_empty(),
        Tree::Object(members) => members.is_empty(),
        _ => true,
    };
    if is_leaf {
        let is_it = *at == 0;
        *at = at.wrapping_sub(1);
        if is_it {
            *tree = match tree {
                Tree::Null => Tree::Bool(false),
                Tree::Bool(truth) => Tree::Bool(!*truth),
                Tree::Integer(number) => Tree::Integer(number.wrapping_add(1)),
                Tree::Fraction(thousandths) => Tree::Fraction(*thousandths + 1),
                Tree::Text(letters) => Tree::Text(format!("{letters}\u{301}")),
                Tree::Array(_) => Tree::Object(Vec::new()),
                Tree::Object(_) => Tree::Null,
            };
        }
        return is_it;
    }
    match tree {
        Tree::Array(values) => values.iter_mut().any(|value| change(value, at)),
        Tree::Object(members) => members.iter_mut().any(|(_, value)| change(value, at)),
        _ => false,
    }
}

fn leaves(tree: &Tree) -> usize {
    match tree {
        Tree::Array(values) if !values.is_empty() => values.iter().map(leaves).sum(),
        Tree::Object(members) if !members.is_empty() => members.iter().map(|(_, value)| leaves(value)).sum(),
        _ => 1,
    }
}

fn dice() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_question_has_one_key_however_it_is_written(tree in question(), one in dice(), other in dice()) {
        let (one, other) = (Pen::write(&tree, &one), Pen::write(&tree, &other));
        prop_assert!(serde_json::from_str::<IgnoredAny>(&one).is_ok(), "{one}");
        prop_assert_eq!(chat(&one), chat(&other), "\n{}\n{}", one, other);
    }

    #[test]
    fn a_question_with_one_leaf_changed_has_another_key(tree in question(), at in any::<Index>(), one in dice(), other in dice()) {
        let mut changed = tree.clone();
        let mut leaf = at.index(leaves(&tree));
        prop_assert!(change(&mut changed, &mut leaf));
        let is_same = meant(&tree) == meant(&changed);
        let (one, other) = (Pen::write(&tree, &one), Pen::write(&changed, &other));
        prop_assert_eq!(chat(&one) == chat(&other), is_same, "\n{}\n{}", one, other);
    }

    #[test]
    fn two_questions_share_a_key_if_and_only_if_they_mean_the_same(first in tree(2), second in tree(2), one in dice(), other in dice()) {
        for name in ["x", "messages", "user"] {
            let whole = |tree: &Tree| Tree::Object(vec![(name.to_owned(), tree.clone())]);
            let (first, second) = (whole(&first), whole(&second));
            let (one, other) = (Pen::write(&first, &one), Pen::write(&second, &other));
            prop_assert_eq!(chat(&one) == chat(&other), meant(&first) == meant(&second), "\n{}\n{}", one, other);
        }
    }

    #[test]
    fn what_it_reads_another_reader_takes_too_and_the_other_way_round(tree in tree(3), at in any::<Index>(), byte in any::<u8>()) {
        let mut bytes = Pen::write(&Tree::Object(vec![("x".into(), tree)]), &[byte]).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        for bytes in [&bytes[..], &bytes[..at]] {
            let is_json = std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
            let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
            match key_of(Question::Chat, bytes) {
                Ok(_) => prop_assert!(is_json && is_object, "{}", bytes.escape_ascii()),
                Err(Bypass::Unreadable) => prop_assert!(!is_json || !is_object, "{}", bytes.escape_ascii()),
                // Text that is broken in two ways is known by one of them.
                Err(_) => {}
            }
        }
    }

    #[test]
    fn any_text_is_told_without_its_escapes(letters in any::<String>(), dice in dice()) {
        let text = Pen::write(&Tree::Text(letters.clone()), &dice);
        let other: String = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&other, &letters);
        let plain = serde_json::to_string(&letters).unwrap();
        prop_assert_eq!(chat(format!(r#"{{"x":{text}}}"#)), chat(format!(r#"{{"x":{plain}}}"#)));
    }
}
