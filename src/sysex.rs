//! SysEx: messages of any length on their way to the take, in pieces that queues of fixed size hold.
//!
//! Nobody but the recorder wants them, so they go to it by a queue of their own and take no room from the music. A
//! [`Slicer`] at each port cuts them where they come in, without taking memory; an [`Assembly`] puts them together.

use std::collections::BTreeMap;

use crate::time::SessionTime;

/// Longest message that is kept, its first and last byte counted: 1 MiB, more than any synth's memory dump.
pub const LONGEST: usize = 1 << 20;

/// Bytes of a message in one piece.
const PIECE: usize = 232;

const BEGIN: u8 = 0xf0;
const END: u8 = 0xf7;
const REAL_TIME: u8 = 0xf8;

/// A part of a SysEx message. A value: it owns no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// When the message began.
    time: SessionTime,
    /// The port that it came in by.
    port: u32,
    /// Place in the message, from 0.
    place: u32,
    ends: bool,
    len: u8,
    bytes: [u8; PIECE],
}

impl Piece {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What a driver gave, cut where SysEx begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it lives for a moment, where no memory may be taken")]
pub enum Cut<'a> {
    /// A part of a SysEx message.
    Piece(Piece),
    /// Something else, a message as a rule: the music.
    Other(&'a [u8]),
}

/// Cuts the SysEx messages of one port into pieces, whole or in fragments as a driver gives them.
///
/// Thread: any one at a time. Realtime-safe: yes.
#[derive(Debug)]
pub struct Slicer {
    port: u32,
    /// When the open message began, and the place of its next piece.
    open: Option<(SessionTime, u32)>,
}

impl Slicer {
    /// Of the port with this number, which no other open port has.
    pub fn new(port: u32) -> Self {
        Self { port, open: None }
    }

    /// The next cut of what a driver gave at `time`, which is taken off `rest`; none when nothing is left.
    ///
    /// Real-time bytes inside a SysEx message are no part of it and come by themselves. A message that something else
    /// breaks off ends there, and what breaks it off comes next.
    pub fn cut<'a>(&mut self, time: SessionTime, rest: &mut &'a [u8]) -> Option<Cut<'a>> {
        let &first = rest.first()?;
        match (self.open, first) {
            (Some((began, place)), ..=0x7f | END) => Some(Cut::Piece(self.piece(began, place, rest))),
            (Some(_), REAL_TIME..) => rest.split_off(..1).map(Cut::Other),
            (Some(_), _) => self.break_off().map(Cut::Piece),
            (None, BEGIN) => Some(Cut::Piece(self.piece(time, 0, rest))),
            (None, _) => Some(Cut::Other(std::mem::take(rest))),
        }
    }

    /// As much of `rest` as is of the open message and has a place.
    fn piece(&mut self, time: SessionTime, place: u32, rest: &mut &[u8]) -> Piece {
        let mut piece = Piece { time, port: self.port, place, ends: false, len: 0, bytes: [0; PIECE] };
        while let Some((&byte, behind)) = rest.split_first()
            && let Some(room) = piece.bytes.get_mut(usize::from(piece.len))
            && (byte <= 0x7f || byte == END || (place == 0 && piece.len == 0))
            && !piece.ends
        {
            *room = byte;
            *rest = behind;
            piece.len += 1;
            piece.ends = byte == END;
        }
        self.open = (!piece.ends).then_some((time, place.saturating_add(1)));
        piece
    }

    /// Ends a message that will not go on: its port has gone, or sends something else.
    pub fn break_off(&mut self) -> Option<Piece> {
        let (time, place) = self.open.take()?;
        let mut bytes = [0; PIECE];
        bytes[0] = END;
        Some(Piece { time, port: self.port, place, ends: true, len: 1, bytes })
    }
}

/// A whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysEx {
    /// When it began.
    pub time: SessionTime,
    /// All of it, from `F0` to `F7`.
    pub bytes: Box<[u8]>,
}

/// Puts pieces together.
#[derive(Debug, Default)]
pub struct Assembly {
    open: BTreeMap<u32, Open>,
    /// Messages of which a piece was lost on the way, or that were longer than [`LONGEST`].
    pub lost: u64,
}

#[derive(Debug)]
struct Open {
    time: SessionTime,
    next: u32,
    bytes: Vec<u8>,
    is_lost: bool,
}

impl Assembly {
    /// Takes a piece, and gives back the message that it makes whole.
    pub fn add(&mut self, piece: &Piece) -> Option<SysEx> {
        if piece.place == 0
            && let Some(unended) = self.open.remove(&piece.port)
        {
            // Its end was lost on the way.
            self.lost += u64::from(!unended.is_lost);
        }
        let fresh = || Open { time: piece.time, next: 0, bytes: Vec::new(), is_lost: false };
        let open = self.open.entry(piece.port).or_insert_with(fresh);
        let is_gap = piece.place != open.next;
        let is_long = open.bytes.len() + usize::from(piece.len) > LONGEST;
        if (is_gap || is_long) && !open.is_lost {
            self.lost += 1;
            open.is_lost = true;
            open.bytes = Vec::new();
        }
        open.next = piece.place.saturating_add(1);
        if !open.is_lost {
            open.bytes.extend_from_slice(piece.as_bytes());
        }
        if !piece.ends {
            return None;
        }
        let open = self.open.remove(&piece.port)?;
        (!open.is_lost).then(|| SysEx { time: open.time, bytes: open.bytes.into_boxed_slice() })
    }

    /// What is unfinished at the end of a session: as far as it came, ended.
    pub fn close(&mut self) -> impl Iterator<Item = SysEx> + use<> {
        std::mem::take(&mut self.open).into_values().filter(|open| !open.is_lost).map(|open| {
            let mut bytes = open.bytes;
            bytes.push(END);
            SysEx { time: open.time, bytes: bytes.into_boxed_slice() }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(us: u64) -> SessionTime {
        SessionTime::from_micros(us)
    }

    /// What comes out of fragments that come in by one port, each a microsecond after the other.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Came {
        sysex: Vec<(u64, Vec<u8>)>,
        other: Vec<(u64, Vec<u8>)>,
        lost: u64,
    }

    fn came(fragments: &[&[u8]]) -> Came {
        let (mut slicer, mut assembly, mut came) = (Slicer::new(3), Assembly::default(), Came::default());
        let mut kept = Vec::new();
        for (us, fragment) in (0..).zip(fragments) {
            let mut rest = *fragment;
            while let Some(cut) = slicer.cut(at(us), &mut rest) {
                match cut {
                    Cut::Piece(piece) => kept.extend(assembly.add(&piece)),
                    Cut::Other(bytes) => came.other.push((us, bytes.to_vec())),
                }
            }
        }
        kept.extend(assembly.close());
        came.sysex = kept.into_iter().map(|sysex| (sysex.time.as_micros(), sysex.bytes.into_vec())).collect();
        came.lost = assembly.lost;
        came
    }

    /// Without what is no SysEx.
    fn kept(fragments: &[&[u8]]) -> (Vec<(u64, Vec<u8>)>, u64) {
        let came = came(fragments);
        (came.sysex, came.lost)
    }

    #[test]
    fn a_message_in_fragments_comes_out_whole_with_the_time_of_its_beginning() {
        let came = came(&[&[0xf0, 1], &[2, 3], &[0xf8], &[4, 0xf7], &[0x90, 60, 1], &[0xf0, 0xf7]]);
        assert_eq!(came.sysex, [(0, vec![0xf0, 1, 2, 3, 4, 0xf7]), (5, vec![0xf0, 0xf7])]);
        assert_eq!(came.other, [(2, vec![0xf8]), (4, vec![0x90, 60, 1])]);
        assert_eq!(came.lost, 0);
    }

    #[test]
    fn real_time_bytes_inside_a_message_are_heard_and_are_no_part_of_it() {
        let came = came(&[&[0xf0, 0xf8, 1, 0xfa, 0xfe, 2], &[0xf8, 0xf7]]);
        assert_eq!(came.sysex, [(0, vec![0xf0, 1, 2, 0xf7])]);
        assert_eq!(came.other, [(0, vec![0xf8]), (0, vec![0xfa]), (0, vec![0xfe]), (1, vec![0xf8])]);
    }

    #[test]
    fn what_is_no_sysex_is_left_to_others() {
        for bytes in [&[0x90, 60, 1][..], &[0xf8], &[0xf7], &[1, 2], &[0xf2, 1, 2]] {
            let expected = Came { other: vec![(0, bytes.to_vec())], ..Came::default() };
            assert_eq!(came(&[bytes]), expected, "{bytes:x?}");
        }
        assert_eq!(came(&[&[]]), Came::default());
    }

    #[test]
    fn a_message_that_is_broken_off_ends_where_it_was_broken_off_and_what_breaks_it_is_heard() {
        let broken = [(0, vec![0xf0, 1, 2, 0xf7])];
        for then in [&[0x90, 60, 1][..], &[0xf1, 3], &[0xb0]] {
            let came = came(&[&[0xf0, 1, 2], then, &[3, 0xf7]]);
            assert_eq!((&came.sysex[..], &came.other[0]), (&broken[..], &(1, then.to_vec())), "{then:x?}");
        }
        let note = came(&[&[0xf0, 1, 2, 0x90, 60, 1]]);
        assert_eq!((&note.sysex[..], &note.other[..]), (&broken[..], &[(0, vec![0x90, 60, 1])][..]));
        assert_eq!(kept(&[&[0xf0, 1, 2], &[0xf0, 5, 0xf7]]).0.len(), 2);
        assert_eq!(kept(&[&[0xf0, 1], &[2]]).0, broken, "the session ends");
    }

    #[test]
    fn a_mebibyte_is_kept_and_more_is_counted() {
        let message = |len: usize| [&[0xf0][..], &vec![5; len - 2], &[0xf7]].concat();
        let long = message(LONGEST);
        assert_eq!(kept(&[&long]), (vec![(0, long.clone())], 0));
        assert_eq!(kept(&[&message(LONGEST + 1), &[0xf0, 0xf7]]), (vec![(1, vec![0xf0, 0xf7])], 1));
    }

    #[test]
    fn a_message_of_which_a_piece_is_lost_is_counted_and_the_next_is_whole() {
        let long = [&[0xf0][..], &[7; 2000], &[0xf7]].concat();
        let mut pieces = Vec::new();
        let mut slicer = Slicer::new(0);
        for (us, mut rest) in [(0, &long[..]), (9, &[0xf0, 1, 0xf7])] {
            while let Some(Cut::Piece(piece)) = slicer.cut(at(us), &mut rest) {
                pieces.push(piece);
            }
        }
        for lost in 0..pieces.len() - 1 {
            let mut assembly = Assembly::default();
            let left = pieces.iter().enumerate().filter(|(place, _)| *place != lost);
            let kept: Vec<_> = left.filter_map(|(_, piece)| assembly.add(piece)).collect();
            assert_eq!((kept.len(), assembly.lost), (1, 1), "without piece {lost}");
            assert_eq!(kept[0].time, at(9));
        }
    }

    proptest! {
        #[test]
        fn any_cutting_into_fragments_gives_the_same_messages(
            messages in proptest::collection::vec(proptest::collection::vec(0u8..128, 0..700), 1..6),
            cuts in proptest::collection::vec(1usize..400, 1..40),
        ) {
            let whole: Vec<Vec<u8>> =
                messages.iter().map(|data| [&[0xf0][..], data, &[0xf7]].concat()).collect();
            let mut lengths = cuts.iter().copied().cycle();
            let mut fragments = Vec::new();
            for message in &whole {
                let mut rest = &message[..];
                while !rest.is_empty() {
                    let (fragment, behind) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
                    rest = behind;
                    fragments.push(fragment);
                }
            }
            let came = came(&fragments);
            prop_assert_eq!(came.sysex.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), whole);
            prop_assert_eq!((came.other.len(), came.lost), (0, 0));
        }

        #[test]
        fn no_bytes_make_anything_but_whole_messages(
            fragments in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
        ) {
            let fragments: Vec<_> = fragments.iter().map(Vec::as_slice).collect();
            for (_, bytes) in kept(&fragments).0 {
                prop_assert_eq!((bytes[0], bytes[bytes.len() - 1]), (0xf0, 0xf7));
                prop_assert!(bytes[1..bytes.len() - 1].iter().all(|byte| *byte < 0x80));
            }
        }
    }
}
