//! Colours and signs, as good as the terminal has them.

use ratatui::style::{Color, Modifier, Style};

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// None, or none wanted.
    None,
    /// The terminal's own sixteen.
    Sixteen,
    /// The palette of 256.
    Palette,
    /// Any.
    Any,
}

/// Which signs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signs {
    /// Blocks of a quarter of a cell.
    Quarters,
    /// Blocks of half a cell, as the fonts of the Linux console have them.
    Halves,
    /// ASCII.
    Plain,
}

/// What is drawn in a colour of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// The human's notes.
    Human,
    /// Antiphon's notes.
    Ai,
    /// Notes of a take that is played back.
    Take,
    /// Notes that are planned.
    Plan,
    /// Lines and what matters less.
    Soft,
    /// The faintest lines.
    Faint,
    /// What is wrong.
    Danger,
    /// Everything else.
    Text,
}

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    depth: Depth,
    pub(super) signs: Signs,
}

impl Look {
    /// What the environment says about the terminal. `variable` looks up a variable.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = value("TERM").unwrap_or_default();
        let is_console = term == "linux";
        let depth = if value("NO_COLOR").is_some() || term.starts_with("vt") || term == "dumb" || term.ends_with("-m") {
            Depth::None
        } else if matches!(value("COLORTERM").as_deref(), Some("truecolor" | "24bit")) && !is_console {
            Depth::Any
        } else if term.contains("256") {
            Depth::Palette
        } else {
            Depth::Sixteen
        };
        // The first of these that says something counts. A terminal behind ssh often says nothing and knows Unicode.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value);
        let is_plain = locale.is_some_and(|locale| {
            let locale = locale.to_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        let signs = match (is_plain, is_console) {
            (true, _) => Signs::Plain,
            (false, true) => Signs::Halves,
            (false, false) => Signs::Quarters,
        };
        Self { depth, signs }
    }

    /// Sub-cells beside each other and above each other in a cell of the roll. Without colours a cell is one, as only its
    /// pattern tells the voices apart.
    pub(super) fn resolution(self) -> (u16, u16) {
        match (self.depth, self.signs) {
            (Depth::None, _) | (_, Signs::Plain) => (1, 1),
            (_, Signs::Halves) => (1, 2),
            (_, Signs::Quarters) => (2, 2),
        }
    }

    /// Whether a tone can be told from another by its colour.
    pub(super) fn has_colours(self) -> bool {
        self.depth != Depth::None
    }

    /// The colour of a tone; `Reset` is the terminal's own.
    pub(super) fn colour(self, tone: Tone) -> Color {
        let (any, palette, sixteen) = match tone {
            Tone::Human => (Color::Rgb(0xf2, 0xb1, 0x55), Color::Indexed(215), Color::Yellow),
            Tone::Ai => (Color::Rgb(0x5f, 0xb8, 0xff), Color::Indexed(75), Color::LightCyan),
            Tone::Take => (Color::Rgb(0xc4, 0xa5, 0xff), Color::Indexed(183), Color::LightMagenta),
            Tone::Plan => (Color::Rgb(0x3f, 0x6d, 0x9c), Color::Indexed(61), Color::Blue),
            Tone::Soft => (Color::Rgb(0x8b, 0x93, 0xa1), Color::Indexed(246), Color::Reset),
            Tone::Faint => (Color::Rgb(0x3a, 0x40, 0x4d), Color::Indexed(238), Color::DarkGray),
            Tone::Danger => (Color::Rgb(0xff, 0x7b, 0x72), Color::Indexed(210), Color::LightRed),
            Tone::Text => (Color::Reset, Color::Reset, Color::Reset),
        };
        match self.depth {
            Depth::None => Color::Reset,
            Depth::Sixteen => sixteen,
            Depth::Palette => palette,
            Depth::Any => any,
        }
    }

    /// Letters of a tone.
    pub(super) fn style(self, tone: Tone) -> Style {
        let style = Style::new().fg(self.colour(tone));
        match (self.depth, tone) {
            (Depth::None, Tone::Danger) => style.add_modifier(Modifier::BOLD),
            (Depth::None | Depth::Sixteen, Tone::Soft | Tone::Faint) => style.add_modifier(Modifier::DIM),
            _ => style,
        }
    }

    /// Letters on a ground of the tone, for what must be seen from across the stage.
    pub(super) fn badge(self, tone: Tone) -> Style {
        self.style(tone).add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// A ground behind the row that is chosen, or its letters bold where there is none.
    pub(super) fn chosen(self) -> Style {
        match self.depth {
            Depth::Any => Style::new().bg(Color::Rgb(0x26, 0x2c, 0x38)),
            Depth::Palette => Style::new().bg(Color::Indexed(236)),
            Depth::None | Depth::Sixteen => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// The sign where the terminal has it, else the plain one.
    pub(super) fn sign<'a>(self, sign: &'a str, plain: &'a str) -> &'a str {
        if self.signs == Signs::Plain { plain } else { sign }
    }

    /// A text of ours without what a plain terminal cannot show.
    pub(super) fn plain(self, text: &str) -> String {
        if self.signs != Signs::Plain {
            return text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        }
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
    }

    /// The look of a terminal that can do everything.
    #[cfg(test)]
    pub(super) fn best() -> Self {
        Self { depth: Depth::Any, signs: Signs::Quarters }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(variables: &[(&str, &str)]) -> Look {
        Look::of(|name| variables.iter().find(|(there, _)| *there == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn colours_and_signs_are_as_good_as_the_terminal() {
        for (variables, depth, signs) in [
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")][..], Depth::Any, Signs::Quarters),
            (&[("TERM", "screen-256color"), ("LANG", "en_GB.UTF-8")], Depth::Palette, Signs::Quarters),
            (&[("TERM", "xterm"), ("LANG", "C.utf8")], Depth::Sixteen, Signs::Quarters),
            (&[("TERM", "linux"), ("LANG", "de_DE.UTF-8")], Depth::Sixteen, Signs::Halves),
            (&[("TERM", "vt100"), ("LANG", "C")], Depth::None, Signs::Plain),
            (&[("TERM", "xterm"), ("LANG", "de_DE.UTF-8"), ("LC_ALL", "POSIX")], Depth::Sixteen, Signs::Plain),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], Depth::None, Signs::Quarters),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "")], Depth::Palette, Signs::Quarters),
        ] {
            assert_eq!(look(variables), Look { depth, signs }, "{variables:?}");
        }
    }

    #[test]
    fn without_colours_nothing_is_coloured() {
        let look = look(&[("NO_COLOR", "1")]);
        let notes = [Tone::Human, Tone::Ai, Tone::Take, Tone::Plan];
        for tone in notes.into_iter().chain([Tone::Soft, Tone::Faint, Tone::Danger, Tone::Text]) {
            assert_eq!(look.style(tone).fg, Some(Color::Reset));
            assert_eq!(look.badge(tone).bg, None);
        }
    }

    #[test]
    fn whoever_plays_has_a_colour_of_their_own() {
        for terminal in [
            &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")][..],
            &[("TERM", "xterm-256color")],
            &[("TERM", "xterm")],
        ] {
            let look = look(terminal);
            let colours = [Tone::Human, Tone::Ai, Tone::Take, Tone::Plan].map(|tone| look.colour(tone));
            for (place, colour) in colours.iter().enumerate() {
                assert!(!colours[..place].contains(colour), "{terminal:?}: {colours:?}");
            }
        }
    }
}
