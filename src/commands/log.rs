//! What the daemon says on standard error: lines for people, or for whoever collects logs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{Write as _, stderr};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

/// In which form lines are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Sentences
    #[default]
    Text,
    /// A JSON object a line: `time` (UTC), `level` (info, warning or error), `message`
    Json,
    /// Sentences with their level in front, as the systemd journal reads it
    Journal,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Good to know.
    Info,
    /// Something did not work; the music goes on.
    Warning,
    /// The end.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The priority by which syslog and the journal know it.
    fn priority(self) -> u8 {
        match self {
            Self::Info => 6,
            Self::Warning => 4,
            Self::Error => 3,
        }
    }
}

/// Says lines in one form. A terminal or pipe that has gone must not end the music, so nothing here fails.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Log {
    format: LogFormat,
}

impl Log {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format }
    }

    pub(super) fn info(self, message: impl Display) {
        self.line(Level::Info, message, None);
    }

    pub(super) fn warning(self, message: impl Display) {
        self.line(Level::Warning, message, None);
    }

    pub(super) fn error(self, message: impl Display) {
        // For people the program's name is in front of what ended it, as of every command.
        let message = message.to_string();
        let named = if self.format == LogFormat::Text { format!("antiphon: {message}") } else { message };
        self.line(Level::Error, named, None);
    }

    /// Says something that programs get as numbers under `name` too.
    pub(super) fn info_with(self, message: impl Display, name: &str, numbers: Value) {
        self.line(Level::Info, message, Some((name, numbers)));
    }

    /// Whether a person reads along, who wants a line that is drawn over and over.
    pub(super) fn is_for_people(self) -> bool {
        self.format == LogFormat::Text
    }

    /// From now on a panic in any thread is a line in this form, too.
    pub(super) fn say_panics(self) {
        if self.is_for_people() {
            return;
        }
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("without a name").to_owned();
            self.line(Level::Error, format_args!("the thread {name} panicked: {panic}"), None);
        }));
    }

    fn line(self, level: Level, message: impl Display, numbers: Option<(&str, Value)>) {
        let _ = stderr().lock().write_all(self.form(level, &message.to_string(), numbers).as_bytes());
    }

    /// The line or lines, each with its end.
    fn form(self, level: Level, message: &str, numbers: Option<(&str, Value)>) -> String {
        match self.format {
            LogFormat::Text => format!("{message}\n"),
            LogFormat::Journal => message.lines().map(|line| format!("<{}>{line}\n", level.priority())).collect(),
            LogFormat::Json => {
                // To the microsecond, always as wide.
                let time = format!("{:.6}", Timestamp::now());
                let mut line = json!({ "time": time, "level": level.name(), "message": message });
                if let Some((name, numbers)) = numbers {
                    line[name] = numbers;
                }
                format!("{line}\n")
            }
        }
    }
}

/// How often a trouble that goes on is spoken of.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A trouble that has not come for so long is new when it comes again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// Different troubles that are told apart; what comes beyond them is one more.
const DIFFERENT: usize = 32;

/// Troubles that come over and over: the first is said at once, those that follow are counted.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    known: BTreeMap<String, Repeats>,
}

#[derive(Debug)]
struct Repeats {
    said: Instant,
    last: Instant,
    unsaid: u64,
}

impl Troubles {
    /// Takes one that came now; gives back what is to be said of it at once.
    pub(super) fn came(&mut self, now: Instant, trouble: &str) -> Option<String> {
        let full = self.known.len() >= DIFFERENT && !self.known.contains_key(trouble);
        let trouble = if full { "different troubles" } else { trouble };
        if let Some(repeats) = self.known.get_mut(trouble) {
            repeats.unsaid += 1;
            repeats.last = now;
            return None;
        }
        self.known.insert(trouble.to_owned(), Repeats { said: now, last: now, unsaid: 0 });
        Some(trouble.to_owned())
    }

    /// What is to be said now of those that came again.
    pub(super) fn again(&mut self, now: Instant) -> Vec<String> {
        let mut sentences = Vec::new();
        for (trouble, repeats) in &mut self.known {
            if repeats.unsaid > 0 && now.duration_since(repeats.said) >= AGAIN_AFTER {
                sentences.push(format!("{} more times: {trouble}", repeats.unsaid));
                (repeats.unsaid, repeats.said) = (0, now);
            }
        }
        self.known.retain(|_, repeats| repeats.unsaid > 0 || now.duration_since(repeats.last) < FORGOTTEN_AFTER);
        sentences
    }
}

/// A sum that grows, such as what was lost: said at once when it begins, then every so often while it grows.
#[derive(Debug, Default)]
pub(super) struct Growing {
    said: String,
    next: Option<Instant>,
}

impl Growing {
    /// What is to be said now that things stand like this; empty stands for nothing lost.
    pub(super) fn stands(&mut self, now: Instant, sum: &str) -> Option<String> {
        if sum == self.said || sum.is_empty() || self.next.is_some_and(|next| now < next) {
            return None;
        }
        sum.clone_into(&mut self.said);
        self.next = Some(now + AGAIN_AFTER);
        Some(self.said.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_says_the_same_sentence() {
        let form = |format, level, message| Log::new(format).form(level, message, None);
        assert_eq!(form(LogFormat::Text, Level::Warning, "the disk is full"), "the disk is full\n");
        assert_eq!(form(LogFormat::Journal, Level::Error, "one\ntwo"), "<3>one\n<3>two\n");
        let numbers = Some(("figures", json!({ "notes": 3 })));
        let line = Log::new(LogFormat::Json).form(Level::Info, "one\ntwo \"three\"", numbers);
        assert_eq!(line.matches('\n').count(), 1, "a line each: {line}");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!([&value["level"], &value["message"]], ["info", "one\ntwo \"three\""]);
        assert_eq!(value["figures"]["notes"], 3);
        let time: Timestamp = value["time"].as_str().expect("text").parse().expect("a time");
        assert!(Timestamp::now().duration_since(time).as_secs() < 60);
    }

    #[test]
    fn the_first_trouble_is_said_and_those_that_follow_are_counted() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut troubles = Troubles::default();
        assert_eq!(troubles.came(at(0), "no disk").as_deref(), Some("no disk"));
        for second in 1..9 {
            assert_eq!(troubles.came(at(second), "no disk"), None);
            assert!(troubles.again(at(second)).is_empty());
        }
        assert_eq!(troubles.came(at(5), "no port").as_deref(), Some("no port"), "another one is said at once");
        assert_eq!(troubles.again(at(10)), ["8 more times: no disk"]);
        assert!(troubles.again(at(25)).is_empty(), "nothing came again");
        assert_eq!(troubles.came(at(26), "no disk"), None);
        assert_eq!(troubles.again(at(26)), ["1 more times: no disk"]);
        assert!(troubles.again(at(90)).is_empty());
        assert_eq!(troubles.came(at(90), "no disk").as_deref(), Some("no disk"), "after a minute it is new");
    }

    #[test]
    fn troubles_without_end_take_no_memory_without_end() {
        let now = Instant::now();
        let mut troubles = Troubles::default();
        let said = (0..1000).filter(|number| troubles.came(now, &format!("trouble {number}")).is_some()).count();
        assert_eq!(said, DIFFERENT + 1);
        assert_eq!(troubles.again(now + AGAIN_AFTER), [format!("{} more times: different troubles", 999 - DIFFERENT)]);
    }

    #[test]
    fn a_sum_is_said_when_it_begins_and_then_every_so_often_while_it_grows() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut losses = Growing::default();
        assert_eq!(losses.stands(at(0), ""), None);
        assert_eq!(losses.stands(at(1), "1 note").as_deref(), Some("1 note"));
        assert_eq!(losses.stands(at(2), "5 notes"), None, "too soon");
        assert_eq!(losses.stands(at(11), "9 notes").as_deref(), Some("9 notes"));
        assert_eq!(losses.stands(at(30), "9 notes"), None, "it does not grow");
    }
}
