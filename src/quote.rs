//! Words of somebody else's in a sentence of ours.

/// What people can still read of a word that makes no sense.
const LONGEST: usize = 80;

/// The text in quotes, without anything that a terminal would obey, and cut where it goes on and on.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_short_and_harmless() {
        assert_eq!(quoted("pátience"), "\"pátience\"");
        assert_eq!(quoted("\u{1b}[2J\n"), r#""\u{1b}[2J\n""#);
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}\"...", "é".repeat(80)));
    }
}
