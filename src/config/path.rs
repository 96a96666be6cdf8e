//! The way from the top of a config to one of its fields: `providers.openai.keys[2].weight`.

use std::{borrow::Cow, fmt};

use super::{mask, schema};

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// Into the field of this name.
    Field(Box<str>),
    /// Into a list, counted from 0.
    Item(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Field(name.into())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Item(index)
    }
}

/// Where in the config something stands. It prints as an operator would say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct FieldPath(pub(super) Vec<Step>);

impl FieldPath {
    /// Whether it is the field of this name at the top, or lies below it.
    pub(super) fn starts_with(&self, field: &str) -> bool {
        matches!(self.0.first(), Some(Step::Field(name)) if **name == *field)
    }

    /// `text` with the name of each field on the way as far as an error may show it.
    pub(super) fn with_names_shown(&self, mut text: String) -> String {
        let mut parent = "";
        for step in &self.0 {
            if let Step::Field(name) = step {
                if let Cow::Owned(shown) = shown(parent, name) {
                    text = text.replace(&**name, &shown);
                }
                parent = name;
            }
        }
        text
    }

    /// This path and one step more.
    pub(super) fn then(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }
}

/// A field's name, as far as an error may show it.
fn shown<'n>(parent: &str, name: &'n str) -> Cow<'n, str> {
    match schema::shown(parent, name) {
        end if end == name.len() => Cow::Borrowed(name),
        end => Cow::Owned(format!("{}…", &name[..end])),
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(top level)");
        }
        let mut parent = "";
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Field(name) => {
                    let dot = if i > 0 { "." } else { "" };
                    write!(f, "{dot}{}", mask::in_message(&shown(parent, name)))?;
                    parent = name;
                }
            }
        }
        Ok(())
    }
}

/// `field!["providers", name, "keys", 2]`: a path, step by step.
macro_rules! field {
    ($($step:expr),* $(,)?) => {
        $crate::config::path::FieldPath(vec![$($crate::config::path::Step::from($step)),*])
    };
}

pub(super) use field;
