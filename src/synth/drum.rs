//! Drums, as simple as they can be: a tone that falls, and noise that is thinned.

use super::limiter::share;
use super::sine::{Sines, phase};
use super::tine::{Decay, Rise};

/// How loud the loudest blow is.
const LOUDEST: f32 = 0.34;

/// Softer than this it is over.
const OVER: f32 = 4e-6;

/// What a drum is made of.
struct Make {
    /// Pitch, how much higher it begins, and how long it sounds in seconds.
    hertz: f32,
    falls: f32,
    rings: f32,
    /// How loud tone and noise are, how long the noise lasts in seconds, and how high it is: 0 dull, 1 thin.
    tone: f32,
    noise: f32,
    hisses: f32,
    thin: f32,
}

/// The drums of General MIDI by their keys, alike ones alike.
fn make(key: u8) -> Make {
    let tom = |hertz| Make { hertz, falls: 0.7, rings: 0.22, tone: 0.8, noise: 0.15, hisses: 0.03, thin: 0.3 };
    let metal = |hisses, thin| Make { hertz: 330.0, falls: 0.0, rings: 0.02, tone: 0.1, noise: 0.55, hisses, thin };
    match key {
        35 | 36 => Make { hertz: 48.0, falls: 3.0, rings: 0.16, tone: 1.0, noise: 0.2, hisses: 0.008, thin: 0.2 },
        38 | 40 => Make { hertz: 185.0, falls: 0.4, rings: 0.08, tone: 0.5, noise: 0.6, hisses: 0.11, thin: 0.4 },
        37 => Make { hertz: 420.0, falls: 0.2, rings: 0.03, tone: 0.6, noise: 0.3, hisses: 0.02, thin: 0.6 },
        39 => Make { hertz: 900.0, falls: 0.0, rings: 0.01, tone: 0.1, noise: 0.8, hisses: 0.07, thin: 0.5 },
        41 => tom(82.0),
        43 => tom(98.0),
        45 => tom(116.0),
        47 => tom(138.0),
        48 => tom(160.0),
        50 => tom(190.0),
        42 | 44 | 69 | 70 | 82 => metal(0.035, 0.9),
        46 | 54 => metal(0.25, 0.9),
        49 | 52 | 55 | 57 => metal(0.9, 0.75),
        51 | 53 | 59 => metal(0.5, 0.9),
        _ => Make {
            hertz: 8.0 * f32::from(key),
            falls: 0.1,
            rings: 0.07,
            tone: 0.6,
            noise: 0.1,
            hisses: 0.01,
            thin: 0.5,
        },
    }
}

/// A drum that was struck; it sounds to its end.
#[derive(Clone, Copy)]
pub(super) struct Drum {
    phase: u32,
    /// Turns a frame.
    speed: f32,
    falls: Decay,
    rise: Rise,
    tone: Decay,
    noise: Decay,
    random: u32,
    thin: f32,
    /// What follows the noise slowly; it is taken out.
    slow: f32,
}

impl Drum {
    pub fn strike(key: u8, velocity: u8, rate: f32) -> Self {
        let made = make(key);
        let loud = LOUDEST * (f32::from(velocity) / 127.0).powf(1.6);
        Self {
            phase: 0,
            speed: made.hertz / rate,
            falls: Decay::new(made.falls, 0.03, rate),
            rise: Rise::new(0.0006, rate),
            tone: Decay::new(loud * made.tone, made.rings, rate),
            noise: Decay::new(loud * made.noise, made.hisses, rate),
            // The same blow sounds the same.
            random: 0x9E37_79B9 ^ (u32::from(key) << 8),
            thin: share(0.1 * (1.0 - made.thin).powi(4) + 0.000_02, rate),
            slow: 0.0,
        }
    }

    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "noise")]
    pub fn next(&mut self, sines: &Sines) -> f32 {
        self.phase = self.phase.wrapping_add(phase(self.speed * (1.0 + self.falls.next())));
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let white = self.random as f32 / 2_147_483_648.0 - 1.0;
        self.slow += (white - self.slow) * self.thin;
        let noise = self.noise.next() * (white - self.slow);
        self.rise.next() * (self.tone.next() * sines.at(self.phase) + noise)
    }

    pub fn level(&self) -> f32 {
        self.tone.level + self.noise.level
    }

    pub fn is_over(&self) -> bool {
        self.level() < OVER
    }
}
