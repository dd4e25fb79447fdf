//! The ways out of the room.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::time::step;
use super::{Counts, Room};
use crate::player::PlayerCommand;
use crate::ports::Cue;
use crate::session::debts::script::Exit;
use crate::session::debts::wild::Mood;
use crate::time::SessionTime;

impl Room {
    /// Ends the session, and looks whether anything still sounds.
    pub fn leave(mut self, exit: Exit) -> Result<Counts, String> {
        self.stalled = [SessionTime::ZERO; 2];
        let mut counts = self.counts;
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        counts.notes = self.own_notes();
        counts.dropped_on_the_way_in = count(&self.status.input_dropped);
        counts.keys_missed_by_the_player = count(&self.status.player_missed);
        counts.plan_dropped = count(&self.status.plan_dropped);
        counts.refused_by_ports = count(&self.status.send_failed);
        counts.never_heard_by_the_model = count(&self.status.unheard);
        counts.virtual_seconds = self.now().as_micros() / 1_000_000;
        let mut stand = self.stand.take().expect("it plays");
        let mut player = self.player.take().expect("it plays");
        let now = self.now();
        match exit {
            Exit::InOrder => {
                if self.to_conductor.is_full() {
                    let _ = step(&mut stand, now);
                }
                self.to_conductor.try_send(Cue::Stop).map_err(|_| "no place for the end")?;
                while let Ok(cue) = stand.heard.try_recv() {
                    if !stand.take(cue).map_err(|why| why.to_string())? {
                        break;
                    }
                }
            }
            Exit::AtOnce => {}
            Exit::ModelFails | Exit::ConductorPanics => {
                self.moody.set(if exit == Exit::ModelFails { Mood::Fails } else { Mood::Panics });
                self.input.push(now, &[0x90, 60, 70]);
                let status = Arc::clone(&self.status);
                // It panics with the stand in its hands, as its thread would.
                let run = move || while step(&mut stand, now).is_ok_and(|moved| moved) {};
                let panicked = catch_unwind(AssertUnwindSafe(run)).is_err();
                if panicked && !status.failed.load(Relaxed) {
                    return Err("the conductor panicked and nobody knows".into());
                }
            }
            Exit::PlayerPanics => {
                self.ports[0].synth.state().panics = true;
                let synth = self.ports[0].synth.clone();
                let link = player.link();
                let run = AssertUnwindSafe(move || {
                    let mut link = link;
                    link.send(PlayerCommand::Panic);
                    player.run();
                });
                if catch_unwind(run).is_ok() || !self.status.failed.load(Relaxed) || synth.state().panics {
                    return Err("the player panicked and nobody knows".into());
                }
                return self.all_ended("after the player panicked").map(|()| counts);
            }
        }
        player.end();
        self.all_ended(&format!("after the end ({exit:?})")).map(|()| counts)
    }
}
