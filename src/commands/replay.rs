//! `antiphon replay`: a recorded session again.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::jam::tell_moved_aside;
use super::log::Log;
use super::values::engine;
use super::{Exit, Failure, examples, print_line, say};
use crate::ensemble::Ensemble;
use crate::model::{BUNDLED_MODEL, Engine, EngineChoice, LstmModel, ModelFile, NoteModel as _, Origin};
use crate::recorder::{RecordError, write_take};
use crate::replay::{Ending, Replayed, replay};
use crate::session_file::{Header, Reader};
use crate::take::Take;
use crate::time::SessionTime;

#[derive(Debug, Args)]
#[command(after_help = examples::REPLAY)]
pub(super) struct ReplayFlags {
    /// Session file, as `antiphon jam` leaves it beside each take
    #[arg(value_name = "SESSION")]
    pub session: PathBuf,

    /// MIDI file to write; an earlier one is moved aside [default: SESSION's name with -replay.mid]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Where a model of the session is now; may be given several times [default: where it was]
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,

    /// Take the first --model even where it is another one than was played: hear how it would have answered
    #[arg(long, requires = "model")]
    pub other_model: bool,

    /// What runs the model: `auto`, `embedded`, or the path of an ONNX Runtime library
    #[arg(long, value_name = "ENGINE", default_value = "auto", value_parser = engine)]
    pub engine: EngineChoice,

    /// End with exit code 9 when the plan is not the same as it was played, or the session file is not whole
    #[arg(long)]
    pub check: bool,

    /// Print what became of it as JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(flags: &ReplayFlags) -> Result<(), Failure> {
    let mut session = Reader::open(&flags.session)?;
    let engine = Engine::start(&flags.engine)?;
    let models = Models { flags, engine };
    let header = session.header.clone();
    let model = models.load(&header.model)?;
    let same_model = *model.origin() == Origin { name: model.origin().name.clone(), ..header.model.clone() };
    let ensemble = Ensemble::new(model, header.opening())?.leading_by(header.lead);
    let mut take = Take::in_bars_of(ensemble.settings().beats_per_bar);
    let load = |origin: &Origin| models.load(origin).map_err(|failure| failure.sentence);
    let replayed = replay(ensemble, &mut session, load, |happening| take.add(happening))?;

    let path = flags.out.clone().unwrap_or_else(|| beside(&flags.session));
    let bytes = take.to_midi().map_err(|cause| RecordError::TooLong { path: path.clone(), cause })?;
    tell_moved_aside(Log::default(), write_take(&path, &bytes, None)?.as_deref());
    if flags.json {
        print_line(json!({
            "session": flags.session.display().to_string(), "out": path.display().to_string(),
            "seconds": seconds(replayed.until), "calls": replayed.calls, "same": replayed.differs_from.is_none(),
            "differs_from": replayed.differs_from.map(seconds), "whole": replayed.ending == Ending::Whole,
            "plan": format!("{:016x}", replayed.digest.0),
        }));
    }
    say(format_args!("wrote {} of {} to {}", replayed.until, flags.session.display(), path.display()));
    if let Some(sentence) = broken_off(&replayed) {
        say(sentence);
    }
    let verdict = verdict(&replayed, &header, models.engine.name(), same_model);
    if flags.check && (replayed.differs_from.is_some() || replayed.ending != Ending::Whole) {
        return Err(Failure::new(Exit::Differs, verdict));
    }
    say(verdict);
    Ok(())
}

/// Since the session began.
fn seconds(at: SessionTime) -> f64 {
    at.since(SessionTime::ZERO).as_seconds()
}

/// `AI_generated-replay.mid` for `AI_generated.session`.
fn beside(session: &Path) -> PathBuf {
    let stem = session.file_stem().unwrap_or_default().to_string_lossy();
    session.with_file_name(format!("{stem}-replay.mid"))
}

/// Where the file did not go to the session's end.
fn broken_off(replayed: &Replayed) -> Option<String> {
    match replayed.ending {
        Ending::Whole => None,
        Ending::Cut => {
            Some(format!("the session file breaks off at {}: it was cut, or the session crashed", replayed.until))
        }
        Ending::Lost(calls) => Some(format!(
            "the session file is not whole: {calls} calls are missing from {} on, so the replay ends there",
            replayed.until
        )),
    }
}

/// Whether it came out as it was played.
fn verdict(replayed: &Replayed, header: &Header, engine: &str, same_model: bool) -> String {
    let calls = replayed.calls;
    let Some(at) = replayed.differs_from else {
        return format!("the same as it was played: {calls} calls, plan {:016x}", replayed.digest.0);
    };
    let mut why = Vec::new();
    if !same_model {
        why.push("another model".to_owned());
    }
    if header.engine != engine {
        why.push(format!("another engine, it was played on {} and is replayed on {engine}", header.engine));
    }
    if header.version != env!("CARGO_PKG_VERSION") {
        why.push(format!("another version, it was played by antiphon {}", header.version));
    }
    let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
    format!("not the same as it was played from {at} on{why}")
}

/// Finds the models of a session.
struct Models<'a> {
    flags: &'a ReplayFlags,
    engine: Engine,
}

impl Models<'_> {
    fn load(&self, wanted: &Origin) -> Result<LstmModel, Failure> {
        let file = self.find(wanted)?;
        Ok(LstmModel::load(&file, &self.engine)?)
    }

    /// The file with the wanted digest: one named by a flag, the one where it was, or the model inside the program.
    fn find(&self, wanted: &Origin) -> Result<ModelFile, Failure> {
        let mut first = None;
        for path in &self.flags.model {
            let file = ModelFile::read(path)?;
            if file.origin().sha256 == wanted.sha256 {
                return Ok(file);
            }
            first.get_or_insert(file);
        }
        let where_it_was = ModelFile::read(Path::new(&wanted.name));
        let is_wanted = |file: &ModelFile| file.origin().sha256 == wanted.sha256;
        let changed = where_it_was.is_ok();
        if let Some(file) = where_it_was.ok().filter(is_wanted) {
            return Ok(file);
        }
        let bundled = ModelFile::from_bytes(Path::new(Origin::BUNDLED), BUNDLED_MODEL.to_vec())?;
        if is_wanted(&bundled) {
            return Ok(bundled);
        }
        if let Some(file) = first.filter(|_| self.flags.other_model) {
            return Ok(file);
        }
        let fate = if changed { "is another file now" } else { "is not there" };
        Err(Failure::new(
            Exit::Model,
            format!(
                "the session was played with the model {} (sha256 {:.12}), which {fate}; name the right one with --model, or hear another one with --other-model",
                wanted.name, wanted.sha256
            ),
        ))
    }
}
