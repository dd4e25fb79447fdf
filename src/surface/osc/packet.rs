//! Datagrams to messages with their time tags. The bytes are foreign: whatever they are, nothing here panics, goes deep
//! or takes much memory.

use rosc::{OscMessage, OscPacket, OscTime, decoder, encoder};

/// Longest datagram that is taken. A bundle of every setting has half of it; it also bounds how deep lists can lie in
/// lists, which rosc takes apart by calling itself.
pub const LONGEST: usize = 8192;

/// Most bundles in a datagram, however they are nested: rosc reads a bundle in a bundle by calling itself.
const MOST_BUNDLES: usize = 64;

/// What a bundle begins with.
const BUNDLE: &[u8] = b"#bundle\0";

/// Seconds from 1900, where OSC counts from, to 1970.
const TO_1970: u64 = 2_208_988_800;

/// Furthest that a bundle may be ahead, in seconds. Further is a clock that is wrong.
const FURTHEST: u64 = 86_400;

/// A moment as OSC writes it: seconds since 1900 in the upper half, 2^-32 parts of one in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(u64);

/// When a message is to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Now: it asks for that, or its moment has passed.
    Now,
    /// In so many microseconds.
    In(u64),
    /// So far ahead that a clock must be wrong.
    Never,
}

impl Tag {
    /// At once.
    pub const AT_ONCE: Self = Self(1);

    /// The moment of `time` on the system's clock.
    pub fn from_system(time: std::time::SystemTime) -> Self {
        let since_1970 = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
        // In 2036 the seconds begin again at 0.
        Self((since_1970.as_secs().wrapping_add(TO_1970) << 32) | fraction)
    }

    /// When that is, seen from `now`.
    pub fn seen_from(self, now: Self) -> When {
        // No second of the year 1900 is meant: 1 is at once, and some write 0 for it.
        if self.0 >> 32 == 0 {
            return When::Now;
        }
        let ahead = self.0.wrapping_sub(now.0);
        match (ahead >> 32, self <= now) {
            (..FURTHEST, _) => When::In((ahead >> 32) * 1_000_000 + (((ahead & 0xffff_ffff) * 1_000_000) >> 32)),
            (_, true) => When::Now,
            // Beyond half of what can be told apart lies the past of before 2036.
            (0x8000_0000.., false) => When::Now,
            (_, false) => When::Never,
        }
    }
}

impl From<OscTime> for Tag {
    fn from(time: OscTime) -> Self {
        Self(u64::from(time.seconds) << 32 | u64::from(time.fractional))
    }
}

/// Reads a datagram: its messages in order, each with the tag of its bundle. A datagram is taken whole or not at all.
///
/// # Errors
/// One sentence that says why it is no OSC packet.
pub fn read(bytes: &[u8]) -> Result<Vec<(Tag, OscMessage)>, String> {
    if bytes.len() > LONGEST {
        return Err(format!("a packet longer than {LONGEST} bytes"));
    }
    if bytes.windows(BUNDLE.len()).filter(|window| *window == BUNDLE).count() > MOST_BUNDLES {
        return Err(format!("more than {MOST_BUNDLES} bundles in a packet"));
    }
    let tagged = with_type_tags(bytes);
    let (rest, packet) = decoder::decode_udp(tagged.as_deref().unwrap_or(bytes)).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes behind the end of a packet, or a damaged bundle", rest.len()));
    }
    let mut messages = Vec::new();
    flatten(packet, Tag::AT_ONCE, &mut messages);
    Ok(messages)
}

/// The packet with an empty string of type tags, if it is an address alone, as old programs send it.
fn with_type_tags(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = bytes.iter().position(|byte| *byte == 0)?;
    let alone = bytes.first() == Some(&b'/') && bytes.len() == (length + 4) & !3;
    alone.then(|| [bytes, b",\0\0\0"].concat())
}

/// A bundle inside another one is never due before it.
fn flatten(packet: OscPacket, due: Tag, messages: &mut Vec<(Tag, OscMessage)>) {
    match packet {
        OscPacket::Message(message) => messages.push((due, message)),
        OscPacket::Bundle(bundle) => {
            let due = due.max(bundle.timetag.into());
            bundle.content.into_iter().for_each(|inner| flatten(inner, due, messages));
        }
    }
}

/// A message as a datagram.
pub fn write(message: OscMessage) -> Vec<u8> {
    // Writing to memory does not fail.
    encoder::encode(&OscPacket::Message(message)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rosc::{OscBundle, OscType};

    use super::*;

    fn message(address: &str) -> OscPacket {
        OscPacket::Message(OscMessage { addr: address.into(), args: vec![OscType::Float(0.5)] })
    }

    fn bundle(seconds: u32, content: Vec<OscPacket>) -> OscPacket {
        OscPacket::Bundle(OscBundle { timetag: OscTime { seconds, fractional: 0 }, content })
    }

    fn bytes(packet: &OscPacket) -> Vec<u8> {
        encoder::encode(packet).expect("to memory")
    }

    #[test]
    fn a_bundle_is_read_in_order_and_an_inner_one_is_never_early() {
        let packet =
            bundle(500, vec![message("/a"), bundle(100, vec![message("/b")]), bundle(900, vec![message("/c")])]);
        let read = read(&bytes(&packet)).expect("whole");
        let seen: Vec<_> = read.iter().map(|(tag, message)| (tag.0 >> 32, message.addr.as_str())).collect();
        assert_eq!(seen, [(500, "/a"), (500, "/b"), (900, "/c")]);
    }

    #[test]
    fn an_address_without_type_tags_is_a_message() {
        for (bytes, address) in [(&b"/antiphon/panic\0"[..], "/antiphon/panic"), (b"/abc\0\0\0\0", "/abc")] {
            let read = read(bytes).expect("as old programs send it");
            assert_eq!((read[0].1.addr.as_str(), read[0].1.args.len()), (address, 0));
        }
    }

    #[test]
    fn damaged_packets_are_refused_whole() {
        let whole = bytes(&bundle(1, vec![message("/a"), message("/b")]));
        for cut in 1..whole.len() {
            assert!(read(&whole[..cut]).is_err() || cut == 16 || cut == 16 + 4 + 12, "cut after {cut} bytes");
        }
        assert!(read(b"").is_err() && read(b"nonsense").is_err() && read(&[0xff; 64]).is_err());
        assert!(read(&vec![b'/'; LONGEST + 1]).is_err());
    }

    #[test]
    fn bundles_and_lists_nested_without_end_are_no_danger() {
        let mut deep = message("/a");
        for _ in 0..300 {
            deep = bundle(1, vec![deep]);
        }
        assert!(bytes(&deep).len() < LONGEST && read(&bytes(&deep)).is_err());
        let lists = (LONGEST - 16) / 2;
        let mut nested = b"/a\0\0,".to_vec();
        nested.extend(std::iter::repeat_n(b'[', lists).chain(std::iter::repeat_n(b']', lists)));
        nested.resize((nested.len() / 4 + 1) * 4, 0);
        // On the thread that does it while it plays.
        std::thread::spawn(move || read(&nested).map(drop))
            .join()
            .expect("the stack is deep enough")
            .expect("a message");
    }

    const SECOND: u64 = 1 << 32;

    #[test]
    fn a_tag_ahead_waits_and_one_behind_does_not() {
        let now = Tag(4_000_000_000 * SECOND);
        let seen = |tag: u64| Tag(tag).seen_from(now);
        assert_eq!(seen(now.0 + SECOND / 4), When::In(250_000));
        assert_eq!(seen(now.0 - SECOND / 4), When::Now);
        assert_eq!((seen(1), seen(0), seen(5)), (When::Now, When::Now, When::Now));
        assert_eq!(seen(3 * SECOND), When::Now, "the year 1900");
        assert_eq!(seen(now.0 + 2 * FURTHEST * SECOND), When::Never);
    }

    #[test]
    fn the_seconds_begin_again_in_2036() {
        let now = Tag(u64::MAX - SECOND / 2);
        assert_eq!(Tag(SECOND).seen_from(now), When::In(1_500_000));
        assert_eq!(Tag(u64::MAX - 10 * SECOND).seen_from(Tag(2 * SECOND)), When::Now);
    }

    #[test]
    fn the_systems_clock_counts_from_1900() {
        assert_eq!(
            Tag::from_system(std::time::UNIX_EPOCH),
            Tag::from(OscTime { seconds: 2_208_988_800, fractional: 0 })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_packet_with_a_byte_changed_is_read_or_refused(place in 0usize..200, byte in any::<u8>()) {
            let mut whole = bytes(&bundle(1, vec![message("/antiphon/set/[a-z]*"), bundle(3, vec![message("/b")])]));
            let place = place % whole.len();
            whole[place] = byte;
            let _ = read(&whole);
        }
    }
}
