//! The frame of a file: its header, and where its tracks lie.

use super::MidiFileError;
use super::tempo_map::TempoMap;

/// Where a header may begin at the latest: behind a byte-order mark or the 128 bytes of MacBinary.
const MAX_PREAMBLE: usize = 1024;

/// What the `MThd` chunk says.
pub(super) struct Header {
    /// Type 2: each track is a piece of its own, with its own tempo.
    pub(super) patterns_follow_one_another: bool,
    pub(super) tempo_map: TempoMap,
}

impl Header {
    /// The header, and where the chunks behind it begin.
    ///
    /// Read here and not by midly, which panics on the division 0x80xx where overflow is checked, and refuses odd frame rates.
    pub(super) fn read(file: &[u8]) -> Result<(Self, usize), MidiFileError> {
        refuse_other_formats(file)?;
        // An RMID container has its header behind lists of any length.
        let preamble = if file.starts_with(b"RIFF") { file.len() } else { MAX_PREAMBLE };
        let begin = find(b"MThd", &file[..file.len().min(preamble + 4)]).ok_or(MidiFileError::NoHeader)?;
        let Some(&[_, _, _, _, l0, l1, l2, l3, t0, t1, _, _, d0, d1]) = file[begin..].first_chunk::<14>() else {
            return Err(MidiFileError::ShortHeader);
        };
        let division = u16::from_be_bytes([d0, d1]);
        let tempo_map = if d0 < 0x80 {
            TempoMap::metrical(division)
        } else {
            // Frames a second, negated.
            TempoMap::time_code(d0.wrapping_neg(), d1)
        };
        let tempo_map = tempo_map.ok_or(MidiFileError::NoDivision(division))?;
        let len = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if len < 6 {
            return Err(MidiFileError::ShortHeader);
        }
        // Longer headers are legal; a length that cannot be is taken for the usual 6.
        let len = if len <= file.len() - begin - 8 { len } else { 6 };
        Ok((Self { patterns_follow_one_another: (t0, t1) == (0, 2), tempo_map }, begin + 8 + len))
    }
}

/// What else is found under a `.mid` name, by its first bytes.
fn refuse_other_formats(file: &[u8]) -> Result<(), MidiFileError> {
    const UNPACK: &str = "unpack it first";
    const FETCH: &str = "fetch the file itself";
    const OTHERS: [(&[u8], &str, &str); 9] = [
        (b"\x1F\x8B", "a gzip archive", UNPACK),
        (b"PK\x03\x04", "a zip archive", UNPACK),
        (b"7z\xBC\xAF", "a 7z archive", UNPACK),
        (b"Rar!", "a rar archive", UNPACK),
        (b"%PDF", "a PDF page", "export it as MIDI"),
        (b"<?xml", "an XML document", "export it as MIDI if it is a score"),
        (b"<", "a web page", FETCH),
        (b"version ", "a Git LFS pointer", "run `git lfs pull`"),
        (b"{", "a JSON document", FETCH),
    ];
    if file.is_empty() {
        return Err(MidiFileError::Empty);
    }
    let text = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file).trim_ascii_start();
    match OTHERS.iter().find(|(magic, _, _)| text.starts_with(magic)) {
        Some(&(_, looks_like, remedy)) => Err(MidiFileError::OtherFormat { looks_like, remedy }),
        None => Ok(()),
    }
}

/// Where `needle` first stands in `bytes`.
fn find(needle: &[u8; 4], bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == needle)
}

/// The content of a track, from and to these bytes of the file.
pub(super) struct TrackChunk {
    pub(super) begin: usize,
    pub(super) end: usize,
    /// The chunk's length stays within the file.
    pub(super) is_length_true: bool,
}

/// A walk over the chunks of a file.
pub(super) struct Chunks<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(file: &'a [u8], at: usize) -> Self {
        Self { file, at }
    }

    /// The content of the next `MTrk` chunk, as far as its length is true.
    pub(super) fn next_track(&mut self) -> Option<TrackChunk> {
        loop {
            if !self.is_chunk(self.at) {
                self.at += find(b"MTrk", self.file.get(self.at..)?)?;
            }
            let &[i0, i1, i2, i3, l0, l1, l2, l3] = self.file[self.at..].first_chunk::<8>()?;
            let begin = self.at + 8;
            let len = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
            self.at = begin.saturating_add(len);
            let is_length_true = self.at <= self.file.len();
            if !is_length_true {
                self.at = begin;
                self.at = self.next_track_id();
            }
            if [i0, i1, i2, i3] == *b"MTrk" {
                return Some(TrackChunk { begin, end: self.at, is_length_true });
            }
        }
    }

    /// Takes `at` for the beginning of the next chunk.
    pub(super) fn go_on_at(&mut self, at: usize) {
        self.at = at;
    }

    /// Where the track that begins at `begin` ends if its length is wrong, which it is when no chunk follows it.
    pub(super) fn extend_track(&mut self, begin: usize) -> usize {
        if self.at < self.file.len() && !self.is_chunk(self.at) {
            self.at = begin;
            self.at = self.next_track_id();
        }
        self.at
    }

    /// The next place that looks like a track, or the end of the file.
    fn next_track_id(&self) -> usize {
        find(b"MTrk", &self.file[self.at..]).map_or(self.file.len(), |distance| self.at + distance)
    }

    fn is_chunk(&self, at: usize) -> bool {
        let id = self.file.get(at..).and_then(|rest| rest.first_chunk::<8>());
        id.is_some_and(|&[i0, i1, i2, i3, ..]| [i0, i1, i2, i3].iter().all(|byte| (0x20..0x7F).contains(byte)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::read_notes_from_bytes;
    use super::super::test_file::{chunk, file};

    fn one_note() -> Vec<u8> {
        file(0, [0, 100], &[&[0, 0x90, 60, 64, 10, 0x80, 60, 0]])
    }

    fn refusal(bytes: &[u8]) -> String {
        read_notes_from_bytes(bytes).unwrap_err().to_string()
    }

    #[test]
    fn legal_but_odd_files_are_read() {
        let note = one_note();
        let (header, track) = note.split_at(14);
        let long_header = [&b"MThd\0\0\0\x08"[..], &header[8..], &[1, 2]].concat();
        let endless_header = [&b"MThd\x7F\xFF\xFF\xFF"[..], &header[8..]].concat();
        let riff = [&b"RIFF\xFF\0\0\0RMIDLIST\x04\0\0\0INFOdata\x2A\0\0\0"[..], &note].concat();
        let odd = [
            [&long_header, track].concat(),
            [&endless_header, track].concat(),
            [header, &chunk(*b"XFIH", b"MThx"), track].concat(),
            [&note[..], b"\x1A\x1A\0\0junk"].concat(),
            [&note[..], b"\0"].concat(),
            note[..note.len() - 4].to_vec(),
            [&b"\xEF\xBB\xBF"[..], &note].concat(),
            [&[0; 128][..], &note].concat(),
            riff,
        ];
        for bytes in odd {
            assert_eq!(read_notes_from_bytes(&bytes).unwrap().len(), 1, "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn other_formats_are_named() {
        assert!(refusal(b"").contains("empty"));
        assert!(refusal(b"\x1F\x8B\x08\0").contains("gzip"));
        assert!(
            refusal(&[&b"PK\x03\x04"[..], &one_note()].concat()).contains("zip"),
            "even with the file in the clear"
        );
        assert!(refusal(b"\n<!DOCTYPE html><html>").contains("web page"));
        assert!(refusal(b"version git-lfs/spec/v1\noid sha256:00").contains("Git LFS"));
        assert!(refusal(b"RIFF\0\0\0\0WAVEfmt ").contains("no MThd"));
    }

    #[test]
    fn a_header_that_says_too_little_is_refused() {
        assert!(refusal(b"MThd").contains("header"));
        assert!(refusal(b"MThd\0\0\0\x02\0\x01MTrk\0\0\0\0").contains("header"));
        assert!(refusal(&file(0, [0, 0], &[])).contains("division"));
        assert!(refusal(&file(0, [0, 96], &[])).contains("no tracks"));
    }
}
