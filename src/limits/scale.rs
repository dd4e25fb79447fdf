//! Scales that the answer's keys can be locked to.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::midi::PITCH_CLASSES;

/// A root and the steps above it, such as `D dorian`; every octave alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scale {
    /// Pitch class of the root, in `0..12`; 0 is C.
    root: u8,
    mode: ScaleMode,
}

/// The steps of a scale above its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the trade")]
pub enum ScaleMode {
    Major,
    Minor,
    HarmonicMinor,
    /// As it ascends, in both directions.
    MelodicMinor,
    Dorian,
    Phrygian,
    Lydian,
    Mixolydian,
    Locrian,
    MajorPentatonic,
    MinorPentatonic,
    Blues,
    WholeTone,
    /// Whole and half tones in turn.
    Diminished,
    Chromatic,
}

impl ScaleMode {
    /// All of them, in the order in which they are listed to people.
    pub const ALL: [Self; 15] = [
        Self::Major,
        Self::Minor,
        Self::HarmonicMinor,
        Self::MelodicMinor,
        Self::Dorian,
        Self::Phrygian,
        Self::Lydian,
        Self::Mixolydian,
        Self::Locrian,
        Self::MajorPentatonic,
        Self::MinorPentatonic,
        Self::Blues,
        Self::WholeTone,
        Self::Diminished,
        Self::Chromatic,
    ];

    /// The name that is printed and read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::Minor => "minor",
            Self::HarmonicMinor => "harmonic minor",
            Self::MelodicMinor => "melodic minor",
            Self::Dorian => "dorian",
            Self::Phrygian => "phrygian",
            Self::Lydian => "lydian",
            Self::Mixolydian => "mixolydian",
            Self::Locrian => "locrian",
            Self::MajorPentatonic => "major pentatonic",
            Self::MinorPentatonic => "minor pentatonic",
            Self::Blues => "blues",
            Self::WholeTone => "whole tone",
            Self::Diminished => "diminished",
            Self::Chromatic => "chromatic",
        }
    }

    /// Bit `n` stands for `n` semitones above the root.
    const fn steps(self) -> u16 {
        match self {
            Self::Major => 0b1010_1011_0101,
            Self::Minor => 0b0101_1010_1101,
            Self::HarmonicMinor => 0b1001_1010_1101,
            Self::MelodicMinor => 0b1010_1010_1101,
            Self::Dorian => 0b0110_1010_1101,
            Self::Phrygian => 0b0101_1010_1011,
            Self::Lydian => 0b1010_1101_0101,
            Self::Mixolydian => 0b0110_1011_0101,
            Self::Locrian => 0b0101_0110_1011,
            Self::MajorPentatonic => 0b0010_1001_0101,
            Self::MinorPentatonic => 0b0100_1010_1001,
            Self::Blues => 0b0100_1110_1001,
            Self::WholeTone => 0b0101_0101_0101,
            Self::Diminished => 0b1011_0110_1101,
            Self::Chromatic => 0b1111_1111_1111,
        }
    }
}

impl Scale {
    /// Its steps above the root.
    pub const fn mode(self) -> ScaleMode {
        self.mode
    }

    /// The scale on a root; of `root`, only the pitch class counts, so that a key number does as well.
    pub const fn new(root: u8, mode: ScaleMode) -> Self {
        Self { root: root % 12, mode }
    }

    /// Whether a key belongs to it.
    pub const fn holds(self, key: u8) -> bool {
        self.mode.steps() >> ((key % 12 + 12 - self.root) % 12) & 1 == 1
    }

    /// The keys that belong to it: bit `n` stands for key `n`. Never empty.
    pub fn keys(self) -> u128 {
        (0..128).filter(|&key| self.holds(key)).fold(0, |keys, key| keys | 1 << key)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", PITCH_CLASSES[usize::from(self.root)], self.mode.name())
    }
}

/// A text that names no scale.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("expected a root and a scale, such as `D dorian` or `Bb blues`; the scales are: {}", names())]
pub struct NotAScale;

impl FromStr for Scale {
    type Err = NotAScale;

    /// Reads what `Display` writes, in any case, and `♯`, `♭`, `natural minor`, `ionian`, `aeolian`, `pentatonic`
    /// (major) too.
    fn from_str(text: &str) -> Result<Self, NotAScale> {
        let text = text.to_lowercase();
        let mut words = text.split([' ', '-', '_']).filter(|word| !word.is_empty());
        let root = root(words.next().unwrap_or_default()).ok_or(NotAScale)?;
        let mode = match words.collect::<Vec<_>>().join(" ").as_str() {
            "ionian" => ScaleMode::Major,
            "natural minor" | "aeolian" => ScaleMode::Minor,
            "pentatonic" => ScaleMode::MajorPentatonic,
            name => ScaleMode::ALL.into_iter().find(|mode| mode.name() == name).ok_or(NotAScale)?,
        };
        Ok(Self::new(root, mode))
    }
}

fn names() -> String {
    ScaleMode::ALL.map(ScaleMode::name).join(", ")
}

/// The pitch class that a root in lower case names.
fn root(name: &str) -> Option<u8> {
    let mut letters = name.chars();
    let natural = match letters.next()? {
        'c' => 0,
        'd' => 2,
        'e' => 4,
        'f' => 5,
        'g' => 7,
        'a' => 9,
        'b' => 11,
        _ => return None,
    };
    let semitones = match letters.as_str() {
        "" => 0,
        "#" | "♯" => 1,
        "b" | "♭" => 11,
        _ => return None,
    };
    Some((natural + semitones) % 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pitch_classes(text: &str) -> Vec<u8> {
        let scale: Scale = text.parse().expect("a scale");
        (0..12).filter(|&key| scale.holds(key)).collect()
    }

    #[test]
    fn scales_have_the_notes_of_the_trade() {
        let cases: [(&str, &[u8]); 15] = [
            ("C major", &[0, 2, 4, 5, 7, 9, 11]),
            ("A minor", &[0, 2, 4, 5, 7, 9, 11]),
            ("D dorian", &[0, 2, 4, 5, 7, 9, 11]),
            ("E phrygian", &[0, 2, 4, 5, 7, 9, 11]),
            ("F lydian", &[0, 2, 4, 5, 7, 9, 11]),
            ("G mixolydian", &[0, 2, 4, 5, 7, 9, 11]),
            ("B locrian", &[0, 2, 4, 5, 7, 9, 11]),
            ("A harmonic minor", &[0, 2, 4, 5, 8, 9, 11]),
            ("A melodic minor", &[0, 2, 4, 6, 8, 9, 11]),
            ("C major pentatonic", &[0, 2, 4, 7, 9]),
            ("A minor pentatonic", &[0, 2, 4, 7, 9]),
            ("A blues", &[0, 2, 3, 4, 7, 9]),
            ("C whole tone", &[0, 2, 4, 6, 8, 10]),
            ("C diminished", &[0, 2, 3, 5, 6, 8, 9, 11]),
            ("F# chromatic", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ];
        for (name, expected) in cases {
            assert_eq!(pitch_classes(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for root in 0..12 {
            for mode in ScaleMode::ALL {
                let scale = Scale::new(root, mode);
                assert_eq!(scale.to_string().parse(), Ok(scale));
            }
        }
        assert_eq!(Scale::new(62, ScaleMode::Dorian).to_string(), "D dorian");
    }

    #[test]
    fn other_spellings_are_understood() {
        for (text, same) in [
            ("bb MAJOR", "A# ionian"),
            ("c♯ natural-minor", "Db aeolian"),
            ("  G   pentatonic ", "G major pentatonic"),
            ("Cb major", "B major"),
            ("b_flat", ""),
            ("H major", ""),
            ("C", ""),
            ("", ""),
            ("major", ""),
            ("Cx minor", ""),
        ] {
            assert_eq!(text.parse::<Scale>().ok(), same.parse().ok(), "{text}");
        }
        let message = NotAScale.to_string();
        assert!(message.contains("mixolydian") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn every_octave_is_alike() {
        let keys = Scale::new(0, ScaleMode::Major).keys();
        assert_eq!(keys & 0xfff, 0b1010_1011_0101);
        assert!((0..116).all(|key| keys >> key & 1 == keys >> (key + 12) & 1));
        assert_eq!(Scale::new(0, ScaleMode::Chromatic).keys(), u128::MAX);
    }
}
