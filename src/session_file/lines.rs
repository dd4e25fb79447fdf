//! Calls to lines.

use std::fmt::{self, Display, Write as _};

use super::{FORMAT_VERSION, Header};
use crate::model::Origin;
use crate::time::SessionTime;
use crate::transcript::{Call, Entry, PlanDigest};

/// Waking times in one line: it stays short enough for an editor.
const WAKES_IN_A_LINE: usize = 64;

/// The lines of a session, as far as they have been written.
pub struct Lines {
    text: String,
    /// Waking times in the line that is open.
    wakes: usize,
    /// Time of the last call.
    last: SessionTime,
    /// After the last call, and as it was last written in full.
    digest: PlanDigest,
    written: PlanDigest,
    next_serial: u64,
    lost: u64,
}

impl Lines {
    /// The first lines of a session.
    pub fn new(header: &Header) -> Self {
        let mut text = format!("antiphon-session {FORMAT_VERSION}\n");
        let fixed: [(&str, &dyn Display); 6] = [
            ("antiphon", &header.version),
            ("engine", &one_line(&header.engine)),
            ("model", &named(&header.model)),
            ("seed", &header.seed),
            ("channel", &(header.channel + 1)),
            ("lead", &header.lead.as_micros()),
        ];
        let settings = header.changes.iter().map(|change| ("set", change as &dyn Display));
        for (word, value) in fixed.into_iter().chain(settings) {
            write_to(&mut text, format_args!("{word} {value}\n"));
        }
        text.push_str("begin\n");
        let digest = PlanDigest::default();
        Self { text, wakes: 0, last: SessionTime::ZERO, digest, written: digest, next_serial: 0, lost: 0 }
    }

    /// Adds a call.
    pub fn add(&mut self, entry: Entry) {
        self.miss(entry.serial.saturating_sub(self.next_serial));
        self.next_serial = entry.serial + 1;
        let mark = Mark((entry.digest != self.digest).then_some(entry.digest));
        self.digest = entry.digest;
        let delta = entry.call.at().map_or(0, |at| self.delta(at));
        match entry.call {
            Call::Wake(_) => {
                if self.wakes == 0 {
                    self.text.push('w');
                }
                self.write(format_args!(" {delta}{mark}"));
                self.wakes += 1;
                if self.wakes == WAKES_IN_A_LINE {
                    self.close_line();
                }
            }
            Call::Hear(timed) => {
                self.line(format_args!("h {delta}{mark} {}", Hexadecimal(timed.message.as_bytes())));
            }
            Call::Control { control, .. } => {
                self.line(format_args!("c {delta}{mark} {}", one_line(&control.to_string())))
            }
            Call::Lead(lead) => self.line(format_args!("lead {}", lead.as_micros())),
            Call::Offer(origin) => self.line(format_args!("m {}", named(&origin))),
            Call::End(_) => {
                self.checkpoint();
                self.line(format_args!("e {delta}"));
            }
        }
    }

    /// Ends with a whole line, and with the digest where it has changed.
    pub fn checkpoint(&mut self) {
        self.close_line();
        if self.written != self.digest {
            self.written = self.digest;
            let digest = self.digest.0;
            self.line(format_args!("= {digest:016x}"));
        }
    }

    /// Says that so many calls of the session were lost in all.
    pub fn has_lost(&mut self, calls: u64) {
        self.miss(calls.saturating_sub(self.lost));
    }

    /// What has been written since the last [`Lines::clear`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Forgets the text that has found its place.
    pub fn clear(&mut self) {
        self.text.clear();
    }

    fn miss(&mut self, calls: u64) {
        if calls > 0 {
            self.lost += calls;
            self.line(format_args!("lost {calls}"));
        }
    }

    /// Microseconds since the last call; negative when what is stamped was stamped before it.
    fn delta(&mut self, at: SessionTime) -> i128 {
        let before = std::mem::replace(&mut self.last, at);
        i128::from(at.as_micros()) - i128::from(before.as_micros())
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        self.close_line();
        self.write(line);
        self.text.push('\n');
    }

    fn close_line(&mut self) {
        if self.wakes > 0 {
            self.text.push('\n');
            self.wakes = 0;
        }
    }

    fn write(&mut self, what: fmt::Arguments<'_>) {
        write_to(&mut self.text, what);
    }
}

fn write_to(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
}

fn named(origin: &Origin) -> String {
    format!("{} {}", origin.sha256, one_line(&origin.name))
}

/// The text without anything that could end the line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The end of a digest where a call has changed it.
struct Mark(Option<PlanDigest>);

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |digest| write!(f, "={:04x}", digest.mark()))
    }
}

struct Hexadecimal<'a>(&'a [u8]);

impl Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
