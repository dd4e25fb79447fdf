//! The name under which other programs see us.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Bytes that a name may have: what the oldest JACK still takes, and our ports' names are longer than the client's.
const LONGEST: usize = 32;

/// The name of our client; our two ports are called after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortName(Arc<str>);

impl Default for PortName {
    fn default() -> Self {
        Self("Antiphon".into())
    }
}

impl PortName {
    /// The client's name.
    pub fn client(&self) -> &str {
        &self.0
    }

    /// The virtual port that listens.
    pub fn input(&self) -> String {
        format!("{} In", self.0)
    }

    /// The virtual port that answers.
    pub fn output(&self) -> String {
        format!("{} Out", self.0)
    }
}

impl FromStr for PortName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // JACK writes a colon between the client's name and its port's.
        let is_odd = |c: char| c.is_control() || c == ':';
        if text.is_empty() || text.len() > LONGEST || text.trim() != text || text.contains(is_odd) {
            return Err(format!("expected 1 to {LONGEST} bytes of text without a colon, and no blank at either end"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_called_after_the_client() {
        let name = PortName::default();
        assert_eq!([name.client(), &name.input(), &name.output()], ["Antiphon", "Antiphon In", "Antiphon Out"]);
        assert_eq!("Linke Hand".parse::<PortName>().expect("a name").output(), "Linke Hand Out");
        assert_eq!("Flügel".parse::<PortName>().expect("a name").client(), "Flügel");
    }

    #[test]
    fn what_no_system_takes_for_a_name_is_refused() {
        for text in ["", " ", "left ", "\tleft", "left:hand", "left\nhand", "left\0hand", &"x".repeat(33)] {
            assert!(text.parse::<PortName>().expect_err("refused").contains("1 to 32"), "{text:?}");
        }
    }
}
