//! SoundFonts made here, so that tests need none that is installed: one sine, looped, on all keys of every program.

/// Frames of one turn of the sine, at 44000 a second: 440 Hz at key 69.
const TURN: u16 = 100;

/// Silence that the format wants behind each sample.
const PADDING: usize = 46;

/// A sine that goes on while its key is down.
pub fn sine() -> Vec<u8> {
    font(TURN)
}

/// A loop so short that its player runs out of the sample on the highest keys.
#[allow(dead_code, reason = "not everybody breaks it")]
pub fn breaking() -> Vec<u8> {
    font(1)
}

fn font(looped: u16) -> Vec<u8> {
    let turn = |frame: u16| (f32::from(frame % TURN) / f32::from(TURN) * std::f32::consts::TAU).sin();
    #[allow(clippy::cast_possible_truncation, reason = "within 16 bits")]
    let mut samples: Vec<u8> =
        (0..2 * TURN).flat_map(|frame| ((turn(frame) * 16_000.0) as i16).to_le_bytes()).collect();
    samples.extend([0; 2 * PADDING]);
    let info = list(
        b"INFO",
        &[(b"ifil", vec![2, 0, 1, 0]), (b"isng", b"EMU8000\0".to_vec()), (b"INAM", b"sine\0\0".to_vec())],
    );
    let sound = list(b"sdta", &[(b"smpl", samples)]);
    // A preset and an instrument of one zone each; each list ends with one that only marks the end.
    let preset = |title: &str, zone: u16| [&name(title)[..], &words(&[0, 0, zone]), &[0; 12]].concat();
    let instrument = |title: &str, zone: u16| [&name(title)[..], &words(&[zone])].concat();
    let frames = [0, 2 * u32::from(TURN), u32::from(TURN), u32::from(TURN + looped), 44_000];
    let sample: Vec<u8> = frames.into_iter().flat_map(u32::to_le_bytes).collect();
    let sample = [&name("sine")[..], &sample, &[69, 0], &words(&[0, 1])].concat();
    let parameters = list(
        b"pdta",
        &[
            (b"phdr", [preset("sine", 0), preset("EOP", 1)].concat()),
            (b"pbag", words(&[0, 0, 1, 0])),
            (b"pmod", vec![0; 10]),
            // The instrument.
            (b"pgen", words(&[41, 0, 0, 0])),
            (b"inst", [instrument("sine", 0), instrument("EOI", 1)].concat()),
            (b"ibag", words(&[0, 0, 2, 0])),
            (b"imod", vec![0; 10]),
            // Looped, and the sample.
            (b"igen", words(&[54, 1, 53, 0, 0, 0])),
            (b"shdr", [sample, [&name("EOS")[..], &[0; 26]].concat()].concat()),
        ],
    );
    chunk(b"RIFF", &[b"sfbk", &info[..], &sound, &parameters].concat())
}

fn list(kind: &[u8; 4], chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let chunks: Vec<u8> = chunks.iter().flat_map(|(id, data)| chunk(id, data)).collect();
    chunk(b"LIST", &[&kind[..], &chunks].concat())
}

fn chunk(id: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short");
    [&id[..], &length.to_le_bytes(), data].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn name(name: &str) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    bytes
}
