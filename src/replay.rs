//! Plays a session file again, under virtual time: the same calls to a fresh ensemble, and the same music.

use std::io::BufRead;

use thiserror::Error;

use crate::ensemble::Ensemble;
use crate::model::{ModelError, NoteModel, Origin};
use crate::offline::Room;
use crate::session_file::{Reader, SessionFileError, What};
use crate::take::Happening;
use crate::time::SessionTime;
use crate::transcript::{Call, PlanDigest};

/// Why a session could not be played again.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The session file.
    #[error(transparent)]
    File(#[from] SessionFileError),
    /// The model failed while running.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model that took over in the session is not to be had.
    #[error("{0}")]
    Missing(String),
}

/// How far a session file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// To the session's end.
    Whole,
    /// It breaks off here: the session crashed, or the file was cut.
    Cut,
    /// So many calls are missing from here on: the disk was too slow.
    Lost(u64),
}

/// A session that was played again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How long it lasted.
    pub until: SessionTime,
    /// How many calls it was.
    pub calls: u64,
    /// How far the file went.
    pub ending: Ending,
    /// When the plan first was another than in the session; `None`: it was the same throughout.
    pub differs_from: Option<SessionTime>,
    /// Digest of the whole plan.
    pub digest: PlanDigest,
}

/// Plays a session again with an ensemble that was built with the header's opening and lead. `load` finds the models
/// that took over on the way. At the end, what sounds is released.
///
/// # Errors
/// When the file is damaged, with its line, a model is missing, or the model's engine fails.
pub fn replay<M: NoteModel>(
    mut ensemble: Ensemble<M>,
    session: &mut Reader<impl BufRead>,
    mut load: impl FnMut(&Origin) -> Result<M, String>,
    tell: impl FnMut(Happening),
) -> Result<Replayed, ReplayError> {
    let mut room = Room::new(tell);
    let (mut calls, mut ending, mut differs_from) = (0, Ending::Cut, None);
    while let Some(step) = session.next_step()? {
        let before = ensemble.plan_digest();
        let same = match step.what {
            What::Digest(digest) => digest == before,
            What::Lost(missing) => {
                // What comes after would be played on something else.
                ending = Ending::Lost(missing);
                break;
            }
            What::Call(Call::Offer(origin), _) => {
                ensemble.offer_model(load(&origin).map_err(ReplayError::Missing)?);
                true
            }
            What::Call(call, mark) => {
                call.at().into_iter().for_each(|at| room.wait_until(at));
                if let Call::End(_) = call {
                    ending = Ending::Whole;
                }
                match room.perform(&mut ensemble, call) {
                    // It was refused in the session too.
                    Ok(()) | Err(ModelError::Style { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                calls += 1;
                let after = ensemble.plan_digest();
                mark == (after != before).then_some(after.mark())
            }
        };
        if !same {
            differs_from.get_or_insert(room.now());
        }
    }
    let until = room.now();
    room.close();
    Ok(Replayed { until, calls, ending, differs_from, digest: ensemble.plan_digest() })
}
