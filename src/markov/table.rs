//! Counts of classes behind contexts, in one flat table.

use crate::note_model::Attribute;

/// A context, hashed, and the class from which classes are counted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Hash of all that the context says.
    pub hash: u64,
    /// Classes are counted as `class - base`, modulo the number of classes: an interval instead of a key.
    pub base: u8,
}

impl Context {
    /// The class counted from the base, modulo the number of classes: for each base a permutation, so that shares of
    /// symbols are probabilities of classes.
    pub fn symbol(self, attribute: Attribute, class: u8) -> u8 {
        let classes = attribute.classes();
        narrow((usize::from(class) + classes - usize::from(self.base) % classes) % classes)
    }

    /// The class that the symbol stands for: the other way round.
    pub fn class(self, attribute: Attribute, symbol: u8) -> u8 {
        narrow((usize::from(symbol) + usize::from(self.base)) % attribute.classes())
    }
}

fn narrow(class: usize) -> u8 {
    u8::try_from(class).unwrap_or(u8::MAX)
}

/// What a table knows of a class in a context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often the class came in this context.
    pub count: u32,
    /// How often the context came.
    pub total: u32,
    /// How many different classes came in it, 255 at most.
    pub kinds: u8,
}

/// Largest number of slots, a power of two: 16 M slots of 12 bytes.
const MOST_SLOTS: usize = 1 << 24;
/// Slots of a new table.
const FIRST_SLOTS: usize = 64;
/// Contexts are counted up to here, so that a total and its kinds share 32 bits.
const MOST_COUNTED: u32 = (1 << 24) - 1;

/// Open addressing over 64-bit hashes; one entry for a context and one for each class in it.
///
/// Takes 12 bytes a slot and never more than 16 M of them; what does not fit any more is not counted.
#[derive(Clone, Debug)]
pub struct CountTable {
    keys: Vec<u64>,
    values: Vec<u32>,
    used: usize,
}

impl Default for CountTable {
    fn default() -> Self {
        Self { keys: vec![0; FIRST_SLOTS], values: vec![0; FIRST_SLOTS], used: 0 }
    }
}

impl CountTable {
    /// Counts one occurrence of `symbol` in the context of this hash.
    pub fn learn(&mut self, context: u64, symbol: u8) {
        if (self.used + 2) * 4 > self.keys.len() * 3 && !self.grow() {
            return;
        }
        let place = self.place(context_key(context));
        let packed = self.values[place];
        if packed >> 8 >= MOST_COUNTED {
            return;
        }
        let pair = pair_key(context, symbol);
        self.put(place, context_key(context), packed + (1 << 8));
        let pair_place = self.place(pair);
        let count = self.values[pair_place];
        self.put(pair_place, pair, count + 1);
        if count == 0 && packed & 0xFF < 0xFF {
            self.values[place] += 1;
        }
    }

    /// What is known of `symbol` in the context of this hash.
    pub fn look_up(&self, context: u64, symbol: u8) -> Seen {
        let packed = self.values[self.place(context_key(context))];
        if packed == 0 {
            return Seen::default();
        }
        let count = self.values[self.place(pair_key(context, symbol))];
        Seen { count, total: packed >> 8, kinds: (packed & 0xFF) as u8 }
    }

    /// Forgets all; the memory is kept.
    pub fn clear(&mut self) {
        self.keys.fill(0);
        self.values.fill(0);
        self.used = 0;
    }

    fn put(&mut self, place: usize, key: u64, value: u32) {
        if self.keys[place] == 0 {
            self.keys[place] = key;
            self.used += 1;
        }
        self.values[place] = value;
    }

    /// The slot that holds the key, else the free one where it belongs.
    fn place(&self, key: u64) -> usize {
        let mask = self.keys.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is wanted")]
        let mut place = key as usize & mask;
        while self.keys[place] != key && self.keys[place] != 0 {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) -> bool {
        let slots = self.keys.len() * 2;
        if slots > MOST_SLOTS {
            return false;
        }
        let keys = std::mem::replace(&mut self.keys, vec![0; slots]);
        let values = std::mem::replace(&mut self.values, vec![0; slots]);
        for (key, value) in keys.into_iter().zip(values).filter(|&(key, _)| key != 0) {
            let place = self.place(key);
            self.keys[place] = key;
            self.values[place] = value;
        }
        true
    }
}

fn context_key(context: u64) -> u64 {
    finish(context) | 1
}

fn pair_key(context: u64, symbol: u8) -> u64 {
    finish(context ^ (u64::from(symbol) + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93)) | 1
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of the result.
fn finish(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A hash of the fields, in their order.
pub fn hash(fields: impl IntoIterator<Item = u8>) -> u64 {
    fields.into_iter().fold(0x9E37_79B9_7F4A_7C15, |hash: u64, field| {
        (hash.rotate_left(5) ^ u64::from(field)).wrapping_mul(0xF135_7AEA_2E62_A9C5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_growing() {
        let mut table = CountTable::default();
        for round in 0..3u8 {
            for context in 0..200u8 {
                table.learn(hash([context]), context % 7);
                table.learn(hash([context]), 100 + round);
            }
        }
        for context in 0..200u8 {
            let seen = table.look_up(hash([context]), context % 7);
            assert_eq!(seen, Seen { count: 3, total: 6, kinds: 4 }, "context {context}");
        }
        assert_eq!(table.look_up(hash([200]), 0), Seen::default());
        table.clear();
        assert_eq!(table.look_up(hash([1]), 1), Seen::default());
    }

    #[test]
    fn a_symbol_stands_for_its_class() {
        for attribute in Attribute::ALL {
            for base in [0, 1, 60, 127, 255] {
                let context = Context { hash: 0, base };
                let classes = (0..=u8::MAX).take(attribute.classes());
                let mut symbols: Vec<u8> = classes.clone().map(|class| context.symbol(attribute, class)).collect();
                assert!(classes.zip(&symbols).all(|(class, &symbol)| context.class(attribute, symbol) == class));
                symbols.sort_unstable();
                symbols.dedup();
                assert_eq!(symbols.len(), attribute.classes(), "a permutation");
            }
        }
    }

    #[test]
    fn the_order_of_fields_matters() {
        assert_ne!(hash([1, 2]), hash([2, 1]));
        assert_ne!(hash([0]), hash([0, 0]));
    }
}
