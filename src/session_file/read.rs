//! Lines to calls.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use super::{FORMAT_VERSION, Header};
use crate::control::Control;
use crate::midi::{ShortMessage, TimedMessage};
use crate::model::Origin;
use crate::quote::quoted;
use crate::time::{SessionDuration, SessionTime};
use crate::transcript::{Call, PlanDigest};

/// Longest line: a model's path, or some tens of waking times.
const LONGEST_LINE: u64 = 8192;

/// Most lines before `begin`.
const LONGEST_HEADER: u64 = 1000;

/// Latest time in a session, in microseconds: a year.
const LATEST: u64 = 366 * 86_400 * 1_000_000;

/// Why a session file cannot be read.
#[derive(Debug, Error)]
pub enum SessionFileError {
    /// The file could not be read.
    #[error("cannot read the session {path}: {cause}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Something else.
    #[error("{path} is no session file; `antiphon jam` writes one beside each take", path = .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Of another version.
    #[error("{} is of session format {}, this antiphon reads format {FORMAT_VERSION}; replay it with the antiphon that played it", .path.display(), quoted(.found))]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// A line that says nothing known.
    #[error("{path} is damaged at line {line}: {why}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// What a line, or a part of one, says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A call, and the end of the plan's digest if it changed the plan.
    Call(Call, Option<u16>),
    /// The plan's digest so far.
    Digest(PlanDigest),
    /// So many calls are missing here.
    Lost(u64),
}

/// What a line, or a part of one, says, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The line, from 1.
    pub line: u64,
    /// What it says.
    pub what: What,
}

/// Reads a session file call by call, however long it is.
pub struct Reader<R> {
    /// What the session began with.
    pub header: Header,
    lines: NumberedLines<R>,
    /// Time of the last call.
    at: SessionTime,
    /// Of a line that holds several calls, those that have not been given yet.
    wakes: VecDeque<Step>,
    ended: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a session file and reads its header.
    ///
    /// # Errors
    /// [`SessionFileError`], with the line where there is one.
    pub fn open(path: &Path) -> Result<Self, SessionFileError> {
        let file = File::open(path).map_err(|cause| SessionFileError::Unreadable { path: path.to_owned(), cause })?;
        Self::new(path, BufReader::new(file))
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads the header of a session; `path` is for messages.
    ///
    /// # Errors
    /// [`SessionFileError`], with the line where there is one.
    pub fn new(path: &Path, text: R) -> Result<Self, SessionFileError> {
        let mut lines = NumberedLines { path: path.to_owned(), text, number: 0 };
        let not_ours = || SessionFileError::NotOurs { path: path.to_owned() };
        let first = match lines.next() {
            Err(SessionFileError::Damaged { .. }) => return Err(not_ours()),
            first => first?.ok_or_else(not_ours)?,
        };
        let found = first.strip_prefix("antiphon-session ").ok_or_else(not_ours)?;
        if found != FORMAT_VERSION.to_string() {
            return Err(SessionFileError::Format { path: path.to_owned(), found: found.to_owned() });
        }
        let header = header(&mut lines)?;
        Ok(Self { header, lines, at: SessionTime::ZERO, wakes: VecDeque::new(), ended: false })
    }

    /// The next call or what else is said; `None` at the end of the file, which is whole if it ended with
    /// [`Call::End`].
    ///
    /// # Errors
    /// [`SessionFileError`], with the line.
    pub fn next_step(&mut self) -> Result<Option<Step>, SessionFileError> {
        loop {
            if let Some(step) = self.wakes.pop_front() {
                return Ok(Some(step));
            }
            let Some(text) = self.lines.next()? else { return Ok(None) };
            let step = self.line(&text).map_err(|why| self.lines.damaged(why))?;
            if step.is_some() {
                return Ok(step);
            }
        }
    }

    /// What a line says; `None` when it stands in `wakes`.
    fn line(&mut self, text: &str) -> Result<Option<Step>, String> {
        if self.ended {
            return Err("it goes on after its end".into());
        }
        let line = self.lines.number;
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let what = match kind {
            "w" => {
                for token in rest.split(' ') {
                    let (at, mark) = self.moment(token)?;
                    self.wakes.push_back(Step { line, what: What::Call(Call::Wake(at), mark) });
                }
                return Ok(None);
            }
            "h" => {
                let (token, bytes) = rest.split_once(' ').ok_or("a message is missing")?;
                let (time, mark) = self.moment(token)?;
                What::Call(Call::Hear(TimedMessage { time, message: message(bytes)? }), mark)
            }
            "c" => {
                let (token, asked) = rest.split_once(' ').ok_or("what was asked for is missing")?;
                let (at, mark) = self.moment(token)?;
                let control = Control::parse(asked).map_err(|error| error.to_string())?;
                What::Call(Call::Control { at, control }, mark)
            }
            "lead" => What::Call(Call::Lead(lead(rest)?), None),
            "m" => What::Call(Call::Offer(Box::new(origin(rest)?)), None),
            "=" => {
                let digest = u64::from_str_radix(rest, 16).ok().filter(|_| rest.len() == 16);
                What::Digest(PlanDigest(digest.ok_or_else(|| format!("{rest:?} is no digest"))?))
            }
            "lost" => What::Lost(number(rest)?),
            "e" => {
                self.ended = true;
                What::Call(Call::End(self.moment(rest)?.0), None)
            }
            _ => return Err(format!("{:?} is no call", kind.chars().take(20).collect::<String>())),
        };
        Ok(Some(Step { line, what }))
    }

    /// A time and the mark behind it, such as `1200=9c2e`.
    fn moment(&mut self, token: &str) -> Result<(SessionTime, Option<u16>), String> {
        let (delta, mark) = token.split_once('=').map_or((token, None), |(delta, mark)| (delta, Some(mark)));
        let delta: i64 = number(delta)?;
        let at = self.at.as_micros().checked_add_signed(delta).filter(|at| *at <= LATEST);
        self.at = SessionTime::from_micros(at.ok_or_else(|| format!("{delta} us leads out of the session"))?);
        let mark = mark.map(|mark| u16::from_str_radix(mark, 16).map_err(|_| format!("{mark:?} is no mark")));
        Ok((self.at, mark.transpose()?))
    }
}

fn lead(text: &str) -> Result<SessionDuration, String> {
    let lead: u64 = number(text)?;
    (lead <= LATEST).then(|| SessionDuration::from_micros(lead)).ok_or_else(|| format!("{lead} us is no lead"))
}

/// Everything before `begin`.
fn header(lines: &mut NumberedLines<impl BufRead>) -> Result<Header, SessionFileError> {
    let mut model = None;
    let mut header = Header {
        version: String::new(),
        engine: String::new(),
        model: Origin { name: String::new(), sha256: String::new() },
        seed: 0,
        channel: 0,
        lead: SessionDuration::ZERO,
        changes: Vec::new(),
    };
    while let Some(line) = lines.next()?.filter(|_| lines.number <= LONGEST_HEADER) {
        if line == "begin" {
            header.model = model.ok_or_else(|| lines.damaged("its header names no model".into()))?;
            return Ok(header);
        }
        let (word, value) = line.split_once(' ').unwrap_or((&line, ""));
        let mut take = || {
            match word {
                "antiphon" => value.clone_into(&mut header.version),
                "engine" => value.clone_into(&mut header.engine),
                "model" => model = Some(origin(value)?),
                "seed" => header.seed = number(value)?,
                "channel" => {
                    let channel: u8 = number(value)?;
                    let known = (1..=16).contains(&channel);
                    header.channel = known.then(|| channel - 1).ok_or_else(|| format!("{channel} is no channel"))?;
                }
                "lead" => header.lead = lead(value)?,
                "set" => match Control::parse(value).map_err(|error| error.to_string())? {
                    Control::Set(change) => header.changes.push(change),
                    _ => return Err(format!("{value:?} is no setting")),
                },
                _ => return Err(format!("{:?} is unknown here", word.chars().take(20).collect::<String>())),
            }
            Ok::<(), String>(())
        };
        take().map_err(|why| lines.damaged(why))?;
    }
    Err(lines.damaged("its header has no end".into()))
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{:?} is no number that fits", text.chars().take(40).collect::<String>()))
}

fn origin(text: &str) -> Result<Origin, String> {
    let (sha256, name) = text.split_once(' ').ok_or("a model needs its SHA-256 and its name")?;
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a model's SHA-256 has 64 hexadecimal digits".into());
    }
    Ok(Origin { name: name.to_owned(), sha256: sha256.to_owned() })
}

fn message(text: &str) -> Result<ShortMessage, String> {
    let wrong = || format!("{:?} is no MIDI message", text.chars().take(20).collect::<String>());
    if !(2..=6).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let number = u32::from_str_radix(text, 16).map_err(|_| wrong())?;
    let [_, bytes @ ..] = number.to_be_bytes();
    let bytes = &bytes[3 - text.len() / 2..];
    let message = ShortMessage::from_bytes(bytes).map_err(|_| wrong())?;
    // The very bytes, and no more.
    if message.as_bytes() == bytes && text.len().is_multiple_of(2) { Ok(message) } else { Err(wrong()) }
}

/// Lines and their numbers. The last one counts only when it is whole.
struct NumberedLines<R> {
    path: PathBuf,
    text: R,
    number: u64,
}

impl<R: BufRead> NumberedLines<R> {
    fn next(&mut self) -> Result<Option<String>, SessionFileError> {
        let mut line = Vec::new();
        let limited = &mut (&mut self.text).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut line);
        let read = read.map_err(|cause| SessionFileError::Unreadable { path: self.path.clone(), cause })?;
        self.number += 1;
        if line.pop() != Some(b'\n') {
            let cut = u64::try_from(read).is_ok_and(|read| read < LONGEST_LINE);
            return if cut { Ok(None) } else { Err(self.damaged("the line is too long".into())) };
        }
        String::from_utf8(line).map(Some).map_err(|_| self.damaged("it is no text".into()))
    }

    fn damaged(&self, why: String) -> SessionFileError {
        SessionFileError::Damaged { path: self.path.clone(), line: self.number, why }
    }
}
