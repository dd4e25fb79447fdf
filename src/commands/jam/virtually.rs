//! A jam under virtual time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::opening::{Human, end_of, header};
use super::tell_moved_aside;
use crate::commands::Failure;
use crate::commands::jam_flags::JamFlags;
use crate::commands::model::Loaded;
use crate::commands::signals::Signals;
use crate::conductor::LEAD;
use crate::ensemble::Ensemble;
use crate::offline;
use crate::recorder::{RecordError, write_take};
use crate::session_file::Lines;
use crate::settings::Settings;
use crate::take::Take;
use crate::time::{SessionDuration, SessionTime};

pub(super) fn run(
    flags: &JamFlags,
    settings: Settings,
    loaded: Loaded,
    input: &Human,
    signals: &Signals,
) -> Result<(), Failure> {
    let asked = flags.seconds.map(|seconds| SessionTime::ZERO + SessionDuration::from_seconds(seconds));
    let until = asked.or_else(|| end_of(&input.messages, &settings)).unwrap_or_default();
    let mut header = header(flags, settings, &loaded);
    header.lead = LEAD;
    let lines = Arc::new(Mutex::new(Lines::new(&header)));
    let mut ensemble = Ensemble::new(loaded.model, header.opening())?.leading_by(header.lead);
    if !flags.no_session {
        let lines = Arc::clone(&lines);
        ensemble = ensemble.transcribed(move |entry| locked(&lines).add(entry));
    }
    let mut take = Take::in_bars_of(ensemble.settings().beats_per_bar);
    let stopped = || signals.to_end() || signals.has_hung_up();
    let end = offline::run(&mut ensemble, &input.messages, until, stopped, |happening| take.add(happening))?;
    input.sysex.iter().filter(|sysex| sysex.time <= end).for_each(|sysex| take.add_sysex(sysex.clone()));
    let path = &flags.playing.out;
    let bytes = take.to_midi().map_err(|cause| RecordError::TooLong { path: path.clone(), cause })?;
    let lines = locked(&lines);
    let session = Some(lines.text()).filter(|_| !flags.no_session);
    let log = flags.log();
    tell_moved_aside(log, write_take(path, &bytes, session)?.as_deref());
    log.info(format_args!("wrote {end} of virtual time to {}", path.display()));
    Ok(())
}

/// Nobody panics while holding it.
fn locked(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}
