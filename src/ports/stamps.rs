//! A driver's time stamps on the session's clock.

use crate::time::{SessionDuration, SessionTime};

/// How fast the two clocks may drift apart: 100 microseconds a second, ten times what quartz does.
const DRIFT_PER_MILLION: u64 = 100;

/// Turns a driver's stamps, whose origin is unknown, into session time.
///
/// A stamp is taken when the message comes, the callback runs a little later, and how much later varies. So the
/// smallest difference seen is the true one, and what exceeds it is delay. The difference may grow slowly, so that
/// clocks that drift apart stay together.
#[derive(Debug, Default)]
pub struct Stamps {
    /// Driver stamp and session time of the message with the least delay.
    least_delayed: Option<(u64, SessionTime)>,
}

impl Stamps {
    /// The session time of a message with the driver's stamp `stamp_us`, whose callback runs at `now`.
    pub fn convert(&mut self, stamp_us: u64, now: SessionTime) -> SessionTime {
        if let Some((stamp, time)) = self.least_delayed
            && let Some(later) = stamp_us.checked_sub(stamp)
        {
            let converted = time + SessionDuration::from_micros(later);
            let drift = SessionDuration::from_micros(later / 1_000_000 * DRIFT_PER_MILLION);
            if converted + drift < now {
                return converted;
            }
        }
        self.least_delayed = Some((stamp_us, now));
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(stamps: &mut Stamps, stamp_us: u64, now_us: u64) -> u64 {
        stamps.convert(stamp_us, SessionTime::from_micros(now_us)).as_micros()
    }

    #[test]
    fn a_late_callback_does_not_move_the_note() {
        let mut stamps = Stamps::default();
        assert_eq!(convert(&mut stamps, 5_000_000, 100), 100);
        assert_eq!(convert(&mut stamps, 5_250_000, 250_100 + 3_000), 250_100);
        assert_eq!(convert(&mut stamps, 5_500_000, 500_090), 500_090, "less delay than ever: the better reference");
        assert_eq!(convert(&mut stamps, 5_750_000, 755_000), 750_090);
    }

    #[test]
    fn a_stamp_is_never_in_the_future_and_may_start_anew() {
        let mut stamps = Stamps::default();
        convert(&mut stamps, 5_000_000, 1000);
        assert_eq!(convert(&mut stamps, 9_000_000, 2000), 2000);
        assert_eq!(convert(&mut stamps, 10, 3000), 3000);
        assert_eq!(convert(&mut stamps, 1010, 4500), 4000);
    }
}
