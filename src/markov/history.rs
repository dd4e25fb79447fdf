//! What came before a note, and the contexts that are made of it for each attribute.

use std::iter;

use super::table::{Context, hash};
use crate::note_model::{Attribute, CELL, NoteClasses, TimeBins};
use crate::time::SessionDuration;

/// Notes that are looked back at.
const LOOK_BACK: usize = 16;
/// Stands for a note before the first.
const NONE: NoteClasses = NoteClasses([255, 60, 255, 255]);
/// Largest chord that is told from larger ones.
const LARGEST_CHORD: usize = 8;

/// Features of the notes before the next one, computed once a note.
#[derive(Clone, Debug)]
pub struct History {
    /// The last notes, the latest first.
    last: [NoteClasses; LOOK_BACK],
    /// Cells that pass from the onset of each of them to the onset of the latest.
    ago: [u32; LOOK_BACK],
    /// How many of `last` there are.
    known: usize,
    /// Notes at the latest onset.
    chord: usize,
    /// Notes at the onset before.
    chord_before: usize,
    /// The latest shifts that were not zero.
    steps: [u8; 4],
    /// Pitch classes of all notes looked back at.
    pitch_classes: u16,
}

impl History {
    /// From the notes before the next one, the latest last.
    pub fn of(notes: &[NoteClasses]) -> Self {
        let mut last = [NONE; LOOK_BACK];
        let mut ago = [0; LOOK_BACK];
        let known = notes.len().min(LOOK_BACK);
        let (mut since, mut pitch_classes) = (0, 0u16);
        for (index, &note) in notes.iter().rev().take(LOOK_BACK).enumerate() {
            last[index] = note;
            ago[index] = since;
            since += cells(TimeBins::shift(), note.of(Attribute::Shift));
            pitch_classes |= 1 << (note.of(Attribute::Key) % 12);
        }
        // The first note of a piece has shift 0 and begins a chord all the same.
        let begins = |index: usize| last[index].of(Attribute::Shift) > 0 || index + 1 >= known;
        let size =
            |from: usize| (from..known).find(|&at| begins(at)).map_or(known - from.min(known), |at| at + 1 - from);
        let chord = size(0);
        let chord_before = size(chord);
        let mut steps = [255; 4];
        let long = last[..known].iter().map(|note| note.of(Attribute::Shift)).filter(|&shift| shift > 0);
        steps.iter_mut().zip(long).for_each(|(step, shift)| *step = shift);
        Self { last, ago, known, chord, chord_before, steps, pitch_classes }
    }

    /// The contexts of an attribute, always as many and in the same order; `next` is read up to the attribute.
    pub fn contexts(&self, attribute: Attribute, next: NoteClasses, out: &mut Vec<Context>) {
        out.clear();
        let mut contexts = Contexts { out };
        match attribute {
            Attribute::Shift => self.shift(&mut contexts),
            Attribute::Key => self.key(next, &mut contexts),
            Attribute::Duration => self.duration(next, &mut contexts),
            Attribute::Velocity => self.velocity(next, &mut contexts),
        }
    }

    fn shift(&self, out: &mut Contexts<'_>) {
        let [s, k, d, _] = self.columns();
        let i = self.intervals();
        let [n1, n2, n3, n4] = self.steps;
        let (chord, before) = (small(self.chord), small(self.chord_before));
        let (first, second) = self.next_ends(0);
        out.add(&[]);
        out.add(&[s[0]]);
        out.add(&[s[0], s[1]]);
        out.add(&[s[0], s[1], s[2]]);
        out.add(&s[..4]);
        out.add(&s[..6]);
        out.add(&[chord, n1]);
        out.add(&[chord, n1, n2]);
        out.add(&[chord, before, n1, n2]);
        out.add(&[chord, before, n1, n2, n3]);
        out.add(&[chord, before, n1, n2, n3, n4]);
        out.add(&[chord, first]);
        out.add(&[first, second, n1]);
        out.add(&[s[0], d[0]]);
        out.add(&[s[0], d[0], s[1], d[1]]);
        out.add(&[s[0], d[0], i[0]]);
        out.add(&[s[0], k[0]]);
        out.add(&[s[0], i[0], s[1], i[1]]);
        out.add_all(0, in_turn(&s, &i, 4));
        out.add_all(0, in_turn(&s, &i, 8));
        out.add(&[chord, n1, before, i[0], k[0] / 8]);
        out.add_from(n1, &[chord, before]);
        out.add_from(n1, &[n1.wrapping_sub(n2), n2.wrapping_sub(n3), chord]);
    }

    fn key(&self, next: NoteClasses, out: &mut Contexts<'_>) {
        let [s, k, d, _] = self.columns();
        let i = self.intervals();
        let shift = next.of(Attribute::Shift);
        let z = u8::from(shift == 0);
        let (place, aligned, after) = self.aligned(shift);
        let [low, high] = self.pitch_classes.to_le_bytes();
        let [turned_low, turned_high] = self.turned(k[0]);
        let shape = self.shape();
        out.add(&[]);
        out.add(&[z, k[0]]);
        out.add(&[z, k[0], k[1]]);
        out.add(&[z, k[0], k[1], k[2]]);
        out.add(&[z, k[0], k[1], k[2], k[3]]);
        out.add(&[z, k[1]]);
        out.add(&[z, k[2]]);
        out.add(&[z, k[1], k[3]]);
        out.add(&[z, place, aligned]);
        out.add(&[z, aligned, k[0]]);
        out.add(&[z, aligned, after, k[0]]);
        out.add(&[z, low, high]);
        out.add(&[z, low, high, k[0]]);
        out.add(&[z, shape, k[0], small(self.chord)]);
        out.add_from(k[0], &[z]);
        out.add_from(k[0], &[z, i[0]]);
        out.add_from(k[0], &[z, i[0], i[1]]);
        out.add_from(k[0], &[z, i[0], i[1], i[2]]);
        out.add_from(k[0], &[z, i[0], i[1], i[2], i[3]]);
        out.add_from(k[0], &[z, i[0], i[1], i[2], i[3], i[4], i[5]]);
        out.add_from(k[0], &[shift, i[0], s[0]]);
        out.add_from(k[0], &[shift, d[0], small(self.chord)]);
        out.add_all(k[0], iter::once(shift).chain(in_turn(&s, &i, 3)));
        out.add_all(k[0], iter::once(shift).chain(in_turn(&s, &i, 8)));
        out.add_from(k[0], &[z, turned_low, turned_high]);
        out.add_from(k[0], &[z, turned_low, turned_high, i[0]]);
        out.add_from(k[0], &[z, shape, small(self.chord)]);
        out.add_from(aligned, &[z, place, small(self.chord_before)]);
        out.add_from(aligned, &[z, place, k[0].wrapping_sub(aligned)]);
        out.add_from(aligned, &[z, k[0].wrapping_sub(aligned), after.wrapping_sub(aligned)]);
    }

    fn duration(&self, next: NoteClasses, out: &mut Contexts<'_>) {
        let [s, _, d, _] = self.columns();
        let i = self.intervals();
        let [shift, key, ..] = next.0;
        let z = u8::from(shift == 0);
        let interval = key.wrapping_sub(self.last[0].of(Attribute::Key));
        let gap = cells(TimeBins::shift(), shift);
        let (r1, r2, r3) = (self.remains(0, gap), self.remains(1, gap), self.remains(2, gap));
        let (first, second) = self.next_ends(gap);
        let latest = self.latest_end(gap);
        let (place, ..) = self.aligned(shift);
        let aligned = self.aligned_note(shift).of(Attribute::Duration);
        let near = self.nearest(key);
        let near_d = near.of(Attribute::Duration);
        let same = self.same_key(key).of(Attribute::Duration);
        out.add(&[]);
        out.add(&[z, d[0]]);
        out.add(&[shift, d[0]]);
        out.add(&[shift, d[0], d[1]]);
        out.add(&[shift, s[0], d[0], d[1], d[2]]);
        out.add(&[z, d[0], d[1], d[2], d[3]]);
        out.add(&[shift]);
        out.add(&[z, key]);
        out.add(&[shift, self.steps[0]]);
        out.add(&[z, r1]);
        out.add(&[z, r1, r2]);
        out.add(&[z, r1, r2, r3]);
        out.add(&[z, first, second]);
        out.add(&[z, latest]);
        out.add(&[z, latest, r1]);
        out.add(&[shift, r1, key / 8]);
        out.add(&[z, place, aligned]);
        out.add(&[z, aligned, d[0]]);
        out.add(&[z, near_d]);
        out.add(&[z, near_d, d[0]]);
        out.add(&[z, near_d, r1]);
        out.add(&[z, key, same]);
        out.add(&[z, interval, d[0]]);
        out.add(&[shift, interval, s[0], i[0], d[0]]);
        out.add_all(0, [shift, interval].into_iter().chain(in_turn(&s, &i, 3)).chain([d[0], d[1]]));
        out.add_all(0, [shift, interval].into_iter().chain(in_turn(&s, &i, 7)));
        out.add_from(d[0], &[shift]);
        out.add_from(near_d, &[z, near.of(Attribute::Key).wrapping_sub(key)]);
        out.add_from(r1, &[z, key / 12]);
    }

    fn velocity(&self, next: NoteClasses, out: &mut Contexts<'_>) {
        let [s, _, _, v] = self.columns();
        let i = self.intervals();
        let [shift, key, duration, _] = next.0;
        let z = u8::from(shift == 0);
        let interval = key.wrapping_sub(self.last[0].of(Attribute::Key));
        let (place, ..) = self.aligned(shift);
        let aligned = self.aligned_note(shift).of(Attribute::Velocity);
        let near = self.nearest(key);
        let near_v = near.of(Attribute::Velocity);
        let near_interval = near.of(Attribute::Key).wrapping_sub(key);
        let same = self.same_key(key).of(Attribute::Velocity);
        let mean = self.mean_velocity();
        out.add(&[]);
        out.add(&[v[0]]);
        out.add(&[z, v[0]]);
        out.add(&[z, v[0], v[1]]);
        out.add(&[z, v[0], v[1], v[2]]);
        out.add(&[z, v[0], v[1], v[2], v[3]]);
        out.add(&v[..6]);
        out.add(&[shift, v[0]]);
        out.add(&[z, place, v[0]]);
        out.add(&[z, near_v]);
        out.add(&[z, near_v, v[0]]);
        out.add(&[z, near_v, near_interval]);
        out.add(&[z, near_v, v[0], mean]);
        out.add(&[z, interval, v[0]]);
        out.add(&[z, duration, v[0]]);
        out.add(&[key, v[0]]);
        out.add(&[key, same]);
        out.add(&[key, same, v[0]]);
        out.add(&[z, aligned, place]);
        out.add(&[z, aligned, v[0]]);
        out.add(&[mean, z, key / 6]);
        out.add_all(0, [shift, interval].into_iter().chain(in_turn(&s, &i, 3)).chain([v[0]]));
        out.add_all(0, [shift, interval].into_iter().chain(in_turn(&s, &i, 7)));
        out.add_from(v[0], &[z]);
        out.add_from(v[0], &[z, v[0].wrapping_sub(v[1])]);
        out.add_from(v[0], &[z, interval]);
        out.add_from(v[0], &[shift, duration]);
        out.add_from(near_v, &[z, near_interval]);
        out.add_from(near_v, &[z, v[0].wrapping_sub(near_v)]);
        out.add_from(mean, &[z, v[0].wrapping_sub(mean), key / 12]);
    }

    /// The attributes of the last notes, the latest first.
    fn columns(&self) -> [[u8; LOOK_BACK]; 4] {
        Attribute::ALL.map(|attribute| self.last.map(|note| note.of(attribute)))
    }

    /// Intervals between the last notes' keys, the latest first.
    fn intervals(&self) -> [u8; LOOK_BACK] {
        let key = |index: usize| self.last[index.min(LOOK_BACK - 1)].of(Attribute::Key);
        std::array::from_fn(|index| key(index).wrapping_sub(key(index + 1)))
    }

    /// Intervals of the chord so far, folded into a byte.
    fn shape(&self) -> u8 {
        let pairs = self.last[..self.chord].windows(2);
        let intervals = pairs.map(|pair| pair[0].of(Attribute::Key).wrapping_sub(pair[1].of(Attribute::Key)));
        hash(intervals).to_le_bytes()[7]
    }

    /// The pitch classes looked back at, counted from `key`.
    fn turned(&self, key: u8) -> [u8; 2] {
        let by = u32::from(key % 12);
        let turned = (self.pitch_classes >> by) | (self.pitch_classes << (12 - by) & 0xFFF);
        turned.to_le_bytes()
    }

    /// The note of the chord before that stands where the next note will stand in its chord.
    fn aligned_note(&self, shift: u8) -> NoteClasses {
        let (place, from, size) =
            if shift == 0 { (self.chord, self.chord, self.chord_before) } else { (0, 0, self.chord) };
        let back = (from + size).saturating_sub(1 + place.min(size.saturating_sub(1)));
        self.last[back.min(LOOK_BACK - 1)]
    }

    /// The next note's place in its chord, the key of the note aligned with it and of the one above that.
    fn aligned(&self, shift: u8) -> (u8, u8, u8) {
        let place = if shift == 0 { self.chord } else { 0 };
        let key = self.aligned_note(shift).of(Attribute::Key);
        let (from, size) = if shift == 0 { (self.chord, self.chord_before) } else { (0, self.chord) };
        let above = (from + size).checked_sub(place + 2).filter(|&back| back >= from && back < LOOK_BACK);
        (small(place), key, above.map_or(0, |back| self.last[back].of(Attribute::Key)))
    }

    /// Class of the time that a note still sounds `gap` cells after the latest onset; 255 when it has ended.
    fn remains(&self, index: usize, gap: u32) -> u8 {
        if index >= self.known {
            return 254;
        }
        let length = cells(TimeBins::duration(), self.last[index].of(Attribute::Duration));
        match length.checked_sub(self.ago[index] + gap) {
            Some(left @ 1..) => class_of(left),
            _ => 255,
        }
    }

    /// When the first and the second of the notes that still sound will end, later ends than the first's only.
    fn next_ends(&self, gap: u32) -> (u8, u8) {
        let ends = || (0..self.known).map(|index| self.remains(index, gap)).filter(|&class| class < 254);
        let first = ends().min().unwrap_or(255);
        (first, ends().filter(|&class| class > first).min().unwrap_or(255))
    }

    fn latest_end(&self, gap: u32) -> u8 {
        (0..self.known).map(|index| self.remains(index, gap)).filter(|&class| class < 254).max().unwrap_or(255)
    }

    /// The latest of the notes that are nearest to the key.
    fn nearest(&self, key: u8) -> NoteClasses {
        let known = &self.last[..self.known.min(12)];
        known.iter().min_by_key(|note| note.of(Attribute::Key).abs_diff(key)).copied().unwrap_or(NONE)
    }

    /// The latest note of the same key.
    fn same_key(&self, key: u8) -> NoteClasses {
        self.last[..self.known].iter().find(|note| note.of(Attribute::Key) == key).copied().unwrap_or(NONE)
    }

    fn mean_velocity(&self) -> u8 {
        let known = self.known.min(8);
        let sum: usize = self.last[..known].iter().map(|note| usize::from(note.of(Attribute::Velocity))).sum();
        u8::try_from((sum + known / 2) / known.max(1)).unwrap_or(255)
    }
}

/// Contexts, each marked with its number so that equal fields of two kinds stay apart.
struct Contexts<'a> {
    out: &'a mut Vec<Context>,
}

impl Contexts<'_> {
    fn add(&mut self, fields: &[u8]) {
        self.add_from(0, fields);
    }

    fn add_from(&mut self, base: u8, fields: &[u8]) {
        self.add_all(base, fields.iter().copied());
    }

    fn add_all(&mut self, base: u8, fields: impl Iterator<Item = u8>) {
        self.out.push(Context { hash: hash(fields), base });
    }
}

/// The first `count` of both, in turn.
fn in_turn(a: &[u8; LOOK_BACK], b: &[u8; LOOK_BACK], count: usize) -> impl Iterator<Item = u8> {
    a.iter().zip(b).take(count).flat_map(|(&a, &b)| [a, b])
}

fn small(size: usize) -> u8 {
    u8::try_from(size.min(LARGEST_CHORD)).unwrap_or(8)
}

/// The middle cell of a class.
fn cells(bins: &TimeBins, class: u8) -> u32 {
    let class = usize::from(class).min(bins.classes() - 1);
    let edges = bins.boundaries();
    (edges[class] + edges[class + 1] - 1) / 2
}

fn class_of(cells: u32) -> u8 {
    TimeBins::duration().class_of(SessionDuration::from_micros(u64::from(cells) * CELL.as_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(shift: u8, key: u8) -> NoteClasses {
        NoteClasses([shift, key, 20, 16])
    }

    #[test]
    fn chords_are_counted_from_the_latest_onset_back() {
        let history = History::of(&[note(0, 60), note(0, 64), note(30, 62), note(0, 65), note(0, 69)]);
        assert_eq!((history.chord, history.chord_before), (3, 2));
        assert_eq!(history.aligned(40), (0, 62, 65), "the lowest, and the one above");
        let history = History::of(&[note(0, 60), note(0, 64), note(30, 62)]);
        assert_eq!(history.aligned(0), (1, 64, 0), "the second of the chord before, none above it");
    }

    #[test]
    fn the_number_of_contexts_is_always_the_same() {
        let piece: Vec<_> = (0..40).map(|n| note(n % 3, 60 + n)).collect();
        for attribute in Attribute::ALL {
            let count = |notes: &[NoteClasses]| {
                let mut out = Vec::new();
                History::of(notes).contexts(attribute, note(0, 70), &mut out);
                out.len()
            };
            let counts: Vec<usize> = (0..40).map(|length| count(&piece[..length])).collect();
            assert!(counts.iter().all(|&n| n == counts[0]), "{counts:?}");
        }
    }

    #[test]
    fn contexts_know_nothing_of_the_attribute_itself_nor_of_later_ones() {
        let history = History::of(&[note(0, 60), note(12, 64), note(0, 67)]);
        let of = |attribute: Attribute, next: [u8; 4]| {
            let mut out = Vec::new();
            history.contexts(attribute, NoteClasses(next), &mut out);
            out
        };
        for attribute in Attribute::ALL {
            let mut other = [0, 70, 30, 9];
            other[attribute.index()..].iter_mut().for_each(|class| *class += 1);
            assert_eq!(of(attribute, [0, 70, 30, 9]), of(attribute, other), "{}", attribute.name());
        }
    }

    #[test]
    fn what_still_sounds_is_known() {
        let long = NoteClasses([0, 60, class_of(100), 16]);
        let history = History::of(&[long]);
        assert_eq!(history.remains(0, 0), class_of(cells(TimeBins::duration(), class_of(100))));
        assert_eq!(history.remains(0, 500), 255, "it has ended");
        assert_eq!(history.remains(1, 0), 254, "there is none");
    }
}
