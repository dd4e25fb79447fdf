//! A short run of mutated seeds through every door, the same each time.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::*;

/// Inputs for each door; `ANTIPHON_DOORS` sets another number.
const INPUTS: usize = 3000;

/// Bytes that stand at the edges of what numbers and formats mean.
const EDGES: [u8; 12] = [0, 1, 0x20, b'/', b'[', b'{', 0x3F, 0x40, 0x7F, 0x80, 0xFE, 0xFF];

struct Mutations(ChaCha8Rng);

impl Mutations {
    fn below(&mut self, limit: usize) -> usize {
        (self.0.next_u32() as usize) % limit.max(1)
    }

    /// One or some changes to a copy of a seed.
    fn of(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            let (at, length) = (self.below(bytes.len()), self.below(40));
            let end = (at + length).min(bytes.len());
            match self.below(8) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 | 2 if !bytes.is_empty() => bytes[at] = EDGES[self.below(EDGES.len())],
                3 => bytes.truncate(at),
                4 => drop(bytes.drain(at..end)),
                5 => {
                    let piece: Vec<u8> = bytes[at..end].repeat(1 + self.below(4));
                    bytes.splice(at..at, piece);
                }
                6 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let piece = other[from..(from + length).min(other.len())].to_vec();
                    bytes.splice(at..end, piece);
                }
                _ => {
                    let piece: Vec<u8> = (0..self.below(9)).map(|_| self.0.next_u32().to_le_bytes()[0]).collect();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    }
}

#[test]
fn seeds_are_sound() {
    for door in DOORS {
        let seeds = (door.seeds)();
        assert!(!seeds.is_empty(), "{}", door.name);
        seeds.iter().for_each(|seed| (door.enter)(seed));
    }
    let small = seeds::model().remove(0);
    let read = ModelFile::from_bytes(Path::new("small.onnx"), small);
    assert!(read.is_ok(), "{:?}", read.err().map(|error| error.to_string()));
    for seed in seeds::session() {
        assert!(Reader::new(Path::new("a.session"), &seed[..]).is_ok());
    }
}

#[test]
fn mutated_seeds_come_through_every_door_or_are_refused() {
    let inputs = std::env::var("ANTIPHON_DOORS").ok().and_then(|number| number.parse().ok()).unwrap_or(INPUTS);
    std::thread::scope(|scope| {
        for door in DOORS {
            scope.spawn(move || {
                let seeds = (door.seeds)();
                let mut mutations = Mutations(ChaCha8Rng::seed_from_u64(1));
                for _ in 0..inputs {
                    (door.enter)(&mutations.of(&seeds));
                }
            });
        }
    });
}

/// What fuzzing has found, each by its door.
#[test]
fn what_was_found_once_is_no_danger_any_more() {
    let endless_value = format!("{{\"value\":\"{}\"}}", "9".repeat(3000));
    let odd_format = format!("antiphon-session {}1\n", "\0".repeat(100));
    let found: [(Door, &[u8]); 4] = [
        (MIDI_FILE, b"MThd\0\0\0\x06\0\0\0\x01\x80\x64MTrk\0\0\0\0"),
        (PAGE, endless_value.as_bytes()),
        (SESSION, odd_format.as_bytes()),
        (OSC, b"/a\0\0,\x7f\0\0"),
    ];
    found.iter().for_each(|(door, bytes)| (door.enter)(bytes));
}
