//! What the device calls for each block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use cpal::{FromSample, SizedSample};
use crossbeam_channel::Sender;

use crate::ports::Routing;
use crate::status::Status;
use crate::synth::{Gains, Playback, Resting};
use crate::time::{Clock, SessionDuration, SessionTime};

/// Frames that are made in one go; a longer block is made in pieces.
const MOST_FRAMES: usize = 4096;

/// A device that is so many seconds ahead of the clock is none that sounds (ALSA's `null` and `file` take all at once):
/// it is held up, so that it neither burns a processor nor runs away from the music.
const AHEAD: f64 = 0.25;

/// No sound card is faster than it says by more than this.
const DRIFT: f64 = 0.001;

/// See above. When it is dropped, the line's end goes back to the thread that opens devices.
pub struct Callback {
    playback: Option<Playback>,
    frames: Box<[[f32; 2]]>,
    clock: Clock,
    routing: Arc<Routing>,
    status: Arc<Status>,
    /// Set when it is to fade out.
    fading: Arc<AtomicBool>,
    back: Sender<Resting>,
    last: Option<SessionTime>,
    ahead: f64,
}

impl Callback {
    /// A callback that plays what comes over the line of `playback`, and gives the line's end to `back` when it is dropped.
    /// Once `fading` is set it becomes silent.
    pub fn new(
        playback: Playback,
        (clock, routing, status): (Clock, Arc<Routing>, Arc<Status>),
        fading: Arc<AtomicBool>,
        back: Sender<Resting>,
    ) -> Self {
        let frames = vec![[0.0; 2]; MOST_FRAMES].into_boxed_slice();
        let playback = Some(playback);
        Self { playback, frames, clock, routing, status, fading, back, last: None, ahead: 0.0 }
    }

    /// Fills a block of so many channels.
    ///
    /// Thread: the device's. Realtime-safe: yes, on devices that sound.
    ///
    /// `beyond` is how long the device takes from its callback to the loudspeaker.
    pub fn fill<T: SizedSample + FromSample<f32>>(&mut self, data: &mut [T], channels: usize, beyond: Duration) {
        let Some(playback) = &mut self.playback else { return };
        let now = self.clock.now();
        let gains = if self.fading.load(Relaxed) { Gains { human: 0.0, ai: 0.0 } } else { self.routing.gains() };
        let rate = playback.rate();
        let channels = channels.max(1);
        let length = span(data.len() / channels, rate);
        let mut begin = now;
        for data in data.chunks_mut(MOST_FRAMES * channels) {
            let frames = &mut self.frames[..data.len() / channels];
            playback.fill(begin, gains, frames);
            begin += span(frames.len(), rate);
            for (to, frame) in data.chunks_mut(channels).zip(frames) {
                write(to, *frame);
            }
        }
        let sound = &self.status.sound;
        sound.frames.store(u32::try_from(data.len() / channels).unwrap_or(u32::MAX), Relaxed);
        let beyond = SessionDuration::from_micros(u64::try_from(beyond.as_micros()).unwrap_or(u64::MAX));
        sound.latency_us.store((length + beyond).as_micros(), Relaxed);
        sound.blocks.fetch_add(1, Relaxed);
        if playback.is_broken() {
            sound.broken.store(true, Relaxed);
        }
        self.hold_up(now, length.as_seconds());
    }

    fn hold_up(&mut self, now: SessionTime, length: f64) {
        let passed = self.last.replace(now).map_or(0.0, |last| now.since(last).as_seconds());
        self.ahead = (self.ahead - passed + length * (1.0 - DRIFT)).max(0.0);
        if self.ahead > AHEAD + length {
            thread::sleep(Duration::from_secs_f64(length.min(1.0)));
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(playback) = self.playback.take() {
            let _ = self.back.try_send(playback.rest());
        }
    }
}

/// One frame for a device of any number of channels: the first two sound, a single one has both.
fn write<T: SizedSample + FromSample<f32>>(to: &mut [T], [left, right]: [f32; 2]) {
    match to {
        [] => {}
        [both] => *both = T::from_sample(0.5 * (left + right)),
        [first, second, others @ ..] => {
            *first = T::from_sample(left);
            *second = T::from_sample(right);
            others.fill(T::EQUILIBRIUM);
        }
    }
}

fn span(frames: usize, rate: u32) -> SessionDuration {
    let us = u64::try_from(frames).unwrap_or(u64::MAX).saturating_mul(1_000_000) / u64::from(rate.max(1));
    SessionDuration::from_micros(us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midi::ShortMessage;
    use crate::synth::{Line, Mixer, Part, Sounding, Timbre};

    fn callback() -> (Line, Callback, crossbeam_channel::Receiver<Resting>) {
        let (line, resting) = Line::new();
        let mixer = Mixer::new(&Timbre::BuiltIn, 48_000, Gains::default()).expect("any rate");
        let (back, returned) = crossbeam_channel::bounded(1);
        let routing = Routing::default();
        routing.follow(&crate::settings::Settings::default());
        let around = (Clock::new(), Arc::new(routing), Arc::default());
        (line, Callback::new(resting.wake(mixer), around, Arc::default(), back), returned)
    }

    fn note(callback: &Callback, line: &mut Line) {
        let message = ShortMessage::note_on(0, 60, 100);
        line.send(Sounding { at: callback.clock.now(), part: Part::Human, message });
    }

    #[test]
    fn every_form_and_number_of_channels_is_served() {
        fn loudest<T: SizedSample + FromSample<f32>>(channels: usize) -> Vec<f32>
        where
            f32: FromSample<T>,
        {
            let (mut line, mut callback, _back) = callback();
            note(&callback, &mut line);
            let mut loudest = vec![0f32; channels];
            for _ in 0..20 {
                let mut data = vec![T::EQUILIBRIUM; 6_000 * channels];
                callback.fill(&mut data, channels, Duration::ZERO);
                for frame in data.chunks(channels) {
                    for (loud, sample) in loudest.iter_mut().zip(frame) {
                        *loud = loud.max(cpal::Sample::to_sample::<f32>(*sample).abs());
                    }
                }
            }
            loudest
        }
        for loud in [loudest::<f32>(2), loudest::<i16>(2), loudest::<i32>(2), loudest::<u16>(2)] {
            assert!(loud.iter().all(|loud| (0.02..1.0).contains(loud)), "{loud:?}");
        }
        assert!(loudest::<f32>(1)[0] > 0.02);
        let surround = loudest::<f32>(6);
        assert!(surround[1] > 0.02 && surround[2..] == [0.0; 4], "{surround:?}");
    }

    #[test]
    fn the_line_comes_back_when_the_device_goes_and_the_figures_say_how_late_it_sounds() {
        let (mut line, mut callback, returned) = callback();
        note(&callback, &mut line);
        let mut data = [0f32; 2 * 256];
        callback.fill(&mut data, 2, Duration::from_millis(10));
        let sound = &callback.status.sound;
        assert_eq!(sound.frames.load(Relaxed), 256);
        assert_eq!(sound.latency_us.load(Relaxed), 10_000 + 5_333);
        drop(callback);
        assert!(returned.try_recv().is_ok());
    }

    #[test]
    fn a_device_that_takes_all_at_once_is_held_up() {
        let (_line, mut callback, _back) = callback();
        let begun = std::time::Instant::now();
        for _ in 0..200 {
            callback.fill(&mut [0f32; 2 * 480], 2, Duration::ZERO);
        }
        assert!(begun.elapsed() > Duration::from_millis(1_500), "two seconds of sound in {:?}", begun.elapsed());
    }
}
