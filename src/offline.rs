//! A session under virtual time: the offline twin of the live session.
//!
//! The same conductor and player, driven from a list of messages as fast as the model allows. The same input, seed
//! and model give the same session to the microsecond.

use crate::conductor::{Action, Conductor};
use crate::midi::TimedMessage;
use crate::model::{ModelError, NoteModel};
use crate::player::Player;
use crate::take::Happening;
use crate::time::SessionTime;

/// Runs a session from its beginning to `until`, or until `stopped` says so. `input` is in time order. At the end, what
/// sounds is released.
///
/// # Errors
/// When the model's engine fails; what sounds has then been released.
pub fn run<M: NoteModel>(
    conductor: &mut Conductor<M>,
    player: &mut Player,
    input: &[TimedMessage],
    until: SessionTime,
    stopped: impl Fn() -> bool,
    mut tell: impl FnMut(Happening),
) -> Result<(), ModelError> {
    let mut now = SessionTime::ZERO;
    let result = run_to(conductor, player, input, until, &mut now, stopped, &mut tell);
    player.release(now, |time, message| tell(Happening::Ai(TimedMessage { time, message })));
    result
}

fn run_to<M: NoteModel>(
    conductor: &mut Conductor<M>,
    player: &mut Player,
    mut input: &[TimedMessage],
    until: SessionTime,
    clock: &mut SessionTime,
    stopped: impl Fn() -> bool,
    tell: &mut impl FnMut(Happening),
) -> Result<(), ModelError> {
    while !stopped() {
        let now = *clock;
        let next = input.first().map(|next| next.time);
        let next = next.into_iter().chain(conductor.next_wake(now)).chain(player.next_due()).min();
        let now = match next {
            Some(next) if next <= until => now.max(next),
            _ => {
                *clock = until;
                return Ok(());
            }
        };
        *clock = now;
        player.play(now, |time, message| tell(Happening::Ai(TimedMessage { time, message })));

        let mut act = |action| match action {
            Action::Tell(command) => {
                player.command(command, now, |time, message| tell(Happening::Ai(TimedMessage { time, message })));
            }
            Action::Turn { at, turn } => tell(Happening::Turn { at, turn }),
            // Planning takes no virtual time.
            Action::Late => {}
        };
        if let Some((heard, later)) = input.split_first().filter(|(heard, _)| heard.time <= now) {
            input = later;
            conductor.hear(heard.time, heard.message, &mut act);
            tell(Happening::Human(*heard));
        } else if conductor.next_wake(now).is_some_and(|wake| wake <= now) {
            conductor.wake(now, &mut act)?;
        }
    }
    Ok(())
}
