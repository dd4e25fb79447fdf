//! The text of a file of ours, whose values and mistakes have lines.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use toml_edit::{Document, Item, TableLike, Value};

use super::{Mistake, Source, Sourced};
use crate::control::Assignment;

/// Reads a file of at most `largest` bytes: a device need not end.
pub(super) fn read(path: &Path, largest: u64) -> io::Result<String> {
    let (mut text, mut file) = (String::new(), File::open(path)?.take(largest + 1));
    file.read_to_string(&mut text)?;
    if file.limit() == 0 {
        return Err(io::Error::other(format!("it is longer than {largest} bytes")));
    }
    Ok(text)
}

/// Whose text it is.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A file.
    File(Arc<Path>),
    /// A map inside the program.
    Controller(Arc<str>),
}

/// A text that is being read.
pub(super) struct Text<'a> {
    origin: Origin,
    text: &'a str,
    pub mistakes: Vec<Mistake>,
}

impl<'a> Text<'a> {
    pub(super) fn new(origin: Origin, text: &'a str) -> Self {
        Self { origin, text, mistakes: Vec::new() }
    }

    /// What it says; `None`, which is a mistake, when it is no TOML.
    pub(super) fn document(&mut self) -> Option<Document<&'a str>> {
        match Document::parse(self.text) {
            Ok(document) => Some(document),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.mistake(at, format!("this is no TOML: {}", error.message().replace('\n', ", ")));
                None
            }
        }
    }

    /// What a table says of MIDI messages, in its order.
    pub(super) fn map(&mut self, table: &dyn TableLike) -> Vec<Sourced<Assignment>> {
        table.iter().flat_map(|(message, item)| self.assignments(place(table, message, item), message, item)).collect()
    }

    fn assignments(&mut self, at: usize, message: &str, item: &Item) -> Vec<Sourced<Assignment>> {
        let wrong = || format!("{message} means words in quotes or a list of them, such as \"temperature\"");
        let meanings = match item {
            Item::Value(Value::String(text)) => vec![Some(text.value().clone())],
            Item::Value(Value::Array(several)) => {
                several.iter().map(|value| value.as_str().map(ToOwned::to_owned)).collect()
            }
            _ => vec![None],
        };
        let mut assignments = Vec::new();
        for meaning in meanings {
            let parsed = meaning.ok_or_else(wrong).and_then(|meaning| {
                Assignment::parse(&format!("{message}={meaning}")).map_err(|error| error.to_string())
            });
            match parsed {
                Ok(what) => assignments.push(Sourced { what, source: self.source(at) }),
                Err(why) => self.mistake(at, why),
            }
        }
        assignments
    }

    /// Where something stands.
    pub(super) fn source(&self, at: usize) -> Source {
        let line = 1 + self.text[..at].bytes().filter(|&byte| byte == b'\n').count();
        match &self.origin {
            Origin::File(path) => Source::File { path: Arc::clone(path), line },
            Origin::Controller(name) => Source::Controller { name: Arc::clone(name), line },
        }
    }

    pub(super) fn mistake(&mut self, at: usize, sentence: String) {
        let source = self.source(at);
        self.mistakes.push(Mistake { source, sentence });
    }
}

/// Where a key stands, in bytes.
pub(super) fn place(table: &dyn TableLike, name: &str, item: &Item) -> usize {
    let key = table.key(name).and_then(toml_edit::Key::span);
    key.or_else(|| item.span()).map_or(0, |span| span.start)
}
