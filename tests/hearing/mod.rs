//! What is in a recorded sound: how loud it is, and its pitch.

/// A sound that is softer is none: 60 dB below the loudest.
pub const SILENT: f32 = 1e-3;

/// The loudest sample.
pub fn loudest(sound: &[f32]) -> f32 {
    sound.iter().fold(0.0, |loudest, sample| loudest.max(sample.abs()))
}

/// The pitch of a single note in hertz: from how far apart the waves begin, at the median, so that gaps do not count.
/// `None` where less than twenty waves sound.
pub fn pitch(sound: &[f32], rate: u32) -> Option<f64> {
    let threshold = 0.2 * loudest(sound);
    if threshold < SILENT {
        return None;
    }
    // A wave begins where it rises through zero; it counts when it has been well below.
    let (mut was_below, mut last, mut lengths) = (false, None, Vec::new());
    for (pair, place) in sound.windows(2).zip(0u32..) {
        was_below |= pair[0] < -threshold;
        if was_below && pair[0] < 0.0 && pair[1] >= 0.0 {
            let begin = f64::from(place) + f64::from(-pair[0] / (pair[1] - pair[0]));
            lengths.extend(last.replace(begin).map(|last| begin - last));
            was_below = false;
        }
    }
    lengths.sort_by(f64::total_cmp);
    (lengths.len() >= 20).then(|| f64::from(rate) / lengths[lengths.len() / 2])
}

/// Whether the sound is that of the key, as near as a quarter of a semitone.
pub fn is_key(sound: &[f32], rate: u32, key: u8) -> bool {
    let expected = 440.0 * 2f64.powf((f64::from(key) - 69.0) / 12.0);
    pitch(sound, rate).is_some_and(|heard| (12.0 * (heard / expected).log2()).abs() < 0.25)
}
