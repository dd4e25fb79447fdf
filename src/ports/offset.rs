//! How much earlier or later than its musical time a message leaves at a port, for synths that take their time.

use std::str::FromStr;

use crate::time::{SessionDuration, SessionTime};

/// Least and greatest offset in milliseconds. An answer is planned a second ahead, so it can leave earlier; the
/// first note of an answer that is asked for at once comes later by as much.
pub const RANGE_MS: [f32; 2] = [-200.0, 500.0];

/// Messages leave so much later than their musical time; negative: earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset {
    us: i64,
}

impl Offset {
    /// When a message of the musical time `musical` leaves.
    pub fn leaves_at(self, musical: SessionTime) -> SessionTime {
        musical + self.delay() - self.lead()
    }

    /// The musical time of what leaves at `now`.
    pub fn musical(self, now: SessionTime) -> SessionTime {
        now + self.lead() - self.delay()
    }

    /// How much earlier than its musical time a message leaves.
    pub fn lead(self) -> SessionDuration {
        SessionDuration::from_micros(u64::try_from(-self.us).unwrap_or(0))
    }

    /// How much later.
    fn delay(self) -> SessionDuration {
        SessionDuration::from_micros(u64::try_from(self.us).unwrap_or(0))
    }

    /// How much later than at a port with the offset `earlier` messages leave here.
    pub fn after(self, earlier: Self) -> SessionDuration {
        SessionDuration::from_micros(u64::try_from(self.us - earlier.us).unwrap_or(0))
    }
}

impl FromStr for Offset {
    type Err = String;

    /// Milliseconds.
    #[expect(clippy::cast_possible_truncation, reason = "checked against the range")]
    fn from_str(text: &str) -> Result<Self, String> {
        let [low, high] = RANGE_MS;
        let ms: Option<f32> = text.parse().ok().filter(|ms| (low..=high).contains(ms));
        let ms = ms.ok_or_else(|| format!("expected milliseconds from {low} to {high}"))?;
        Ok(Self { us: (f64::from(ms) * 1000.0).round() as i64 })
    }
}

/// A named port that we send to, and its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name or a part of it.
    pub name: String,
    /// When messages leave there.
    pub offset: Offset,
}

impl FromStr for Destination {
    type Err = String;

    /// `NAME`, or with an offset `NAME@-20ms`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix("ms").and_then(|text| text.rsplit_once('@')) {
            Some((name, offset)) => Ok(Self { name: name.to_owned(), offset: offset.parse()? }),
            None => Ok(Self { name: text.to_owned(), offset: Offset::default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(ms: &str) -> Offset {
        ms.parse().expect("in range")
    }

    #[test]
    fn earlier_and_later_are_undone_by_each_other() {
        let time = SessionTime::from_micros(1_000_000);
        assert_eq!(offset("-20").leaves_at(time).as_micros(), 980_000);
        assert_eq!(offset("12.5").leaves_at(time).as_micros(), 1_012_500);
        for ms in ["-200", "0", "500"] {
            assert_eq!(offset(ms).musical(offset(ms).leaves_at(time)), time);
        }
        assert_eq!(offset("30").after(offset("-20")), SessionDuration::from_millis(50));
    }

    #[test]
    fn a_destination_may_have_its_offset_behind_it() {
        let destination: Destination = "FLUID Synth@-20ms".parse().expect("well formed");
        assert_eq!(destination, Destination { name: "FLUID Synth".into(), offset: offset("-20") });
        let plain: Destination = "me@home 20:0".parse().expect("a name");
        assert_eq!(plain, Destination { name: "me@home 20:0".into(), offset: Offset::default() });
        for nonsense in ["FLUID@-900ms", "FLUID@ms", "FLUID@soonms"] {
            assert!(nonsense.parse::<Destination>().is_err(), "{nonsense}");
        }
    }
}
