//! Names that a person may have meant.

/// Longest name that is compared, in bytes: comparing takes time that grows with both lengths.
const LONGEST: usize = 128;

/// Least similarity of a suggestion, from 0 to 1 (Jaro-Winkler).
const SIMILAR: f64 = 0.8;

/// At most three of the `known` names that are similar to `wrong`, the most similar first. None for a name of more than
/// 128 bytes.
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if wrong.len() > LONGEST {
        return Vec::new();
    }
    let wrong = wrong.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > SIMILAR)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The end of a message about an unknown name: `; did you mean NAME?` with the most similar known one, or nothing.
#[must_use]
pub fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(wrong, known).first().map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> impl Iterator<Item = &'static str> {
        ["case.opened", "case.resolved", "screening.completed", "batch.failed"].into_iter()
    }

    #[test]
    fn a_mistyped_name_has_suggestions() {
        assert_eq!(nearest("screening.complete", names()).first(), Some(&"screening.completed"));
        assert_eq!(nearest("Case.Resolved", names()).first(), Some(&"case.resolved"));
        assert!(nearest("zzz", names()).is_empty());
        let too_long = format!("screening.completed{}", "d".repeat(LONGEST));
        assert!(nearest(&too_long, names()).is_empty());
    }

    #[test]
    fn a_message_ends_with_the_most_similar_name_or_with_nothing() {
        assert_eq!(did_you_mean("case.open", names()), "; did you mean case.opened?");
        assert_eq!(did_you_mean("zzz", names()), "");
    }
}
