//! "did you mean": the known word nearest to a mistyped one.

/// How alike two words must be, from 0 to 1 (Damerau-Levenshtein, normalised): one slip in a short word, two or three in a long one.
const ALIKE: f64 = 0.6;

/// The known word that is most like `word`, if any is like it.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A longer word than any name is no slip of the pen, and comparing costs the product of the lengths.
    if word.len() > 100 {
        return None;
    }
    let (word, rated) =
        (word.to_lowercase(), |known: &'k str, word: &str| (strsim::normalized_damerau_levenshtein(word, &known.to_lowercase()), known));
    let alike = known.into_iter().filter(|known| known.len() <= 100).map(|known| rated(known, &word)).filter(|(alike, _)| *alike >= ALIKE);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

/// `` did you mean `weight`? ``, or nothing.
pub(super) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map(|known| format!("did you mean `{known}`?")).unwrap_or_default()
}

/// `` `a`, `b` and `c` ``.
pub(super) fn listed<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_word_and_another_word_does_not() {
        let known = ["weight", "name", "env", "account"];
        for (word, meant) in
            [("wieght", Some("weight")), ("Weight", Some("weight")), ("acount", Some("account")), ("limit", None), ("", None)]
        {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }

    #[test]
    fn words_are_listed_as_a_sentence_lists_them() {
        assert_eq!((listed([]), listed(["a"]), listed(["a", "b", "c"])), (String::new(), "`a`".to_owned(), "`a`, `b` and `c`".to_owned()));
    }
}
