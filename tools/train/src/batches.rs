//! What the network is fed: sequences of notes from parallel streams.

use antiphon::note_model::{Attribute, NoteClasses};

/// A sequence of `time` notes from each of `streams` streams; row `t * streams + s` is stream `s` at time `t`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Parallel streams.
    pub streams: usize,
    /// Classes of the last note; the class count where there is none yet.
    pub last: [Vec<u16>; 4],
    /// Classes of the note to predict.
    pub next: [Vec<u8>; 4],
    /// Style numbers.
    pub style: Vec<u8>,
    /// Whether the state is set to zero before the step: a piece begins.
    pub reset: Vec<bool>,
    /// Whether the attribute of the note counts for the loss.
    pub counted: [Vec<bool>; 4],
}

impl Batch {
    /// An empty batch of this size.
    pub fn new(streams: usize, time: usize) -> Self {
        let rows = streams * time;
        Self {
            streams,
            last: [0; 4].map(|_| vec![0; rows]),
            next: [0; 4].map(|_| vec![0; rows]),
            style: vec![0; rows],
            reset: vec![false; rows],
            counted: [0; 4].map(|_| vec![false; rows]),
        }
    }

    /// Notes in it, padding included.
    pub fn rows(&self) -> usize {
        self.reset.len()
    }

    /// The class that indexes embedding `index` (shift, key, duration, velocity, style) at `row`.
    pub fn input_class(&self, index: usize, row: usize) -> usize {
        match self.last.get(index) {
            Some(last) => usize::from(last[row]),
            None => usize::from(self.style[row]),
        }
    }

    /// Writes note `next` at `row`, which follows `last` (`None`: a piece begins).
    pub fn set(&mut self, row: usize, last: Option<NoteClasses>, next: NoteClasses, style: u8, counted: [bool; 4]) {
        for attribute in Attribute::ALL {
            let index = attribute.index();
            self.last[index][row] = match last {
                Some(note) => u16::from(note.of(attribute)),
                None => u16::try_from(attribute.classes()).unwrap_or(u16::MAX),
            };
            self.next[index][row] = next.of(attribute);
            self.counted[index][row] = counted[index];
        }
        self.style[row] = style;
        self.reset[row] = last.is_none();
    }
}
