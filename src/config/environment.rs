//! The process's environment variables as a value, so that a config can be loaded with any others.

use std::{collections::BTreeMap, fmt};

/// A copy of environment variables. Its `Debug` shows their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. A variable that is not UTF-8 counts as not set.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// `name` itself and every `name_<digits>` that is set, in the order of the numbers.
    #[must_use]
    pub fn numbered(&self, name: &str) -> Vec<&str> {
        let mut found: Vec<&str> = self.names().filter(|variable| *variable == name || number(variable, name).is_some()).collect();
        found.sort_by_key(|variable| (number(variable, name), *variable));
        found
    }

    /// The names of all variables, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The digits of `name_<digits>` in a form that sorts by value however many there are: their count, then themselves.
fn number<'v>(variable: &'v str, name: &str) -> Option<(usize, &'v str)> {
    let digits = variable.strip_prefix(name)?.strip_prefix('_')?;
    let significant = digits.trim_start_matches('0');
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some((significant.len(), significant))
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<String>, V: Into<String>, const COUNT: usize> From<[(N, V); COUNT]> for Environment {
    fn from(variables: [(N, V); COUNT]) -> Self {
        variables.into_iter().collect()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
