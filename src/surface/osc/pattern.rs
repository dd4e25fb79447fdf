//! OSC 1.0 address patterns: which addresses a message means.
//!
//! rosc has a matcher too, but in it `[!x]` runs across slashes, a class takes several characters, `*` never takes none
//! and `{a,ab}` never tries its second word; so a pattern is matched here, by the whole set of places that it can reach,
//! in time that grows with the length of pattern and address only.

/// Longest part of an address that a pattern is matched against, in bytes; the places in it are bits of a number.
pub const LONGEST_PART: usize = 63;

/// What one piece of a pattern takes of an address.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// This character.
    One(char),
    /// Any character.
    Any,
    /// Any characters, also none.
    Many,
    /// A character of these ranges, or one of none of them.
    Class { ranges: Vec<(char, char)>, other_than: bool },
    /// One of these words.
    Words(Vec<String>),
}

/// An address pattern; a plain address is one that means itself alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    parts: Vec<Vec<Piece>>,
}

impl Pattern {
    /// Takes an address as a message has it; `None` when it is neither an address nor a pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text.strip_prefix('/')?.split('/');
        Some(Self { parts: parts.map(pieces).collect::<Option<_>>()? })
    }

    /// Whether `address` is meant.
    pub fn matches(&self, address: &str) -> bool {
        let mut parts = address.strip_prefix('/').unwrap_or(address).split('/');
        self.parts.iter().all(|pieces| parts.next().is_some_and(|part| takes(pieces, part))) && parts.next().is_none()
    }
}

/// The pieces of what stands between two slashes; `None` when it is empty, a bracket is not closed or a character may
/// not stand there.
fn pieces(part: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut rest = part;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let piece = match character {
            '?' => Piece::Any,
            '*' => Piece::Many,
            '[' => {
                let (inside, after) = rest.split_once(']')?;
                rest = after;
                class(inside)?
            }
            '{' => {
                let (inside, after) = rest.split_once('}')?;
                rest = after;
                Piece::Words(inside.split(',').map(str::to_owned).collect())
            }
            ']' | '}' | ',' | '#' | ' ' => return None,
            plain if plain.is_ascii_graphic() => Piece::One(plain),
            _ => return None,
        };
        pieces.push(piece);
    }
    Some(pieces).filter(|pieces| !pieces.is_empty())
}

/// What stands between square brackets; a minus sign at the end and a `!` not at the beginning mean themselves.
fn class(inside: &str) -> Option<Piece> {
    let (members, other_than) = inside.strip_prefix('!').map_or((inside, false), |members| (members, true));
    let mut ranges = Vec::new();
    let mut characters = members.chars().peekable();
    while let Some(from) = characters.next() {
        let mut ahead = characters.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) => {
                ranges.push((from.min(to), from.max(to)));
                characters = ahead;
            }
            _ => ranges.push((from, from)),
        }
    }
    (!ranges.is_empty()).then_some(Piece::Class { ranges, other_than })
}

/// Whether the pieces take the whole part. Bit n of a set of places stands for the n-th byte of the part.
fn takes(pieces: &[Piece], part: &str) -> bool {
    if part.len() > LONGEST_PART || !part.is_ascii() {
        return false;
    }
    let bytes = part.as_bytes();
    let within = |places: u64| (0..bytes.len()).filter(move |place| places >> place & 1 == 1);
    let step = |places: u64, fits: &dyn Fn(char) -> bool| {
        within(places).filter(|&place| fits(char::from(bytes[place]))).fold(0, |reached, place| reached | 2 << place)
    };
    let end = 1u64 << bytes.len();
    let reached = pieces.iter().fold(1u64, |places, piece| match piece {
        Piece::One(wanted) => step(places, &|character| character == *wanted),
        Piece::Any => step(places, &|_| true),
        // From the first place reached to the end.
        Piece::Many if places == 0 => 0,
        Piece::Many => (end | (end - 1)) & !((1u64 << places.trailing_zeros()) - 1),
        Piece::Class { ranges, other_than } => {
            step(places, &|character| ranges.iter().any(|(from, to)| (*from..=*to).contains(&character)) != *other_than)
        }
        Piece::Words(words) => words.iter().fold(0, |reached, word| {
            let here = (0..=bytes.len()).filter(|place| places >> place & 1 == 1);
            here.filter(|&place| part[place..].starts_with(word.as_str()))
                .fold(reached, |reached, place| reached | 1 << (place + word.len()))
        }),
    });
    reached & end != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, address: &str) -> bool {
        Pattern::parse(pattern).is_some_and(|pattern| pattern.matches(address))
    }

    #[test]
    fn an_address_means_itself_alone() {
        assert!(matches("/antiphon/panic", "/antiphon/panic"));
        for other in ["/antiphon/panics", "/antiphon", "/antiphon/panic/now", "/Antiphon/panic"] {
            assert!(!matches("/antiphon/panic", other), "{other}");
        }
    }

    #[test]
    fn patterns_are_those_of_osc_1_0() {
        for (pattern, address) in [
            ("/*/panic", "/antiphon/panic"),
            ("/antiphon/set/*temperature", "/antiphon/set/temperature"),
            ("/antiphon/set/*temperature", "/antiphon/set/key-temperature"),
            ("/a*b*c", "/abbc"),
            ("/a*b*c", "/axbxbxc"),
            ("/{key,key-temperature}", "/key-temperature"),
            ("/{hand-over,take-back}", "/take-back"),
            ("/t?p-p", "/top-p"),
            ("/[a-cx]1", "/x1"),
            ("/[!a-c]1", "/d1"),
            ("/[a-]", "/-"),
            ("/[c-a]", "/b"),
            ("/x{,y}", "/x"),
            ("/*?*?", "/ab"),
        ] {
            assert!(matches(pattern, address), "{pattern} means {address}");
        }
        for (pattern, address) in [
            ("/*", "/antiphon/panic"),
            ("/[!x]", "/antiphon/panic"),
            ("/[a-c]", "/ab"),
            ("/[!a-c]1", "/a1"),
            ("/*?*?", "/a"),
            ("/{hand,over}", "/hand-over"),
        ] {
            assert!(!matches(pattern, address), "{pattern} does not mean {address}");
        }
    }

    #[test]
    fn what_is_no_pattern_means_nothing() {
        for text in ["", "panic", "/", "/a//b", "/[a", "/{a", "/a]", "/[]", "/[!]", "/a b", "/ä", "/a#"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_done_at_once() {
        let pattern = format!("/{}b", "*a".repeat(4000));
        assert!(!matches(&pattern, &format!("/{}", "a".repeat(LONGEST_PART))));
        assert!(!matches("/*", &format!("/{}", "a".repeat(LONGEST_PART + 1))), "such an address is not ours");
    }

    /// By the definition, slowly.
    fn slowly(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|from| slowly(rest, &text[from..])),
            Some((b'?', rest)) => !text.is_empty() && slowly(rest, &text[1..]),
            Some((one, rest)) => text.first() == Some(one) && slowly(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn stars_and_question_marks_mean_what_they_say(pattern in "[ab*?]{1,8}", text in "[ab]{0,9}") {
            prop_assert_eq!(
                matches(&format!("/{pattern}"), &format!("/{text}")),
                slowly(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(text in "/[ -~]{0,40}", address in "/[ -~]{0,70}") {
            matches(&text, &address);
        }
    }
}
