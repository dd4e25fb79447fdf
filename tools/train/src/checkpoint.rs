//! The checkpoint: all that a training run needs to go on exactly where it stopped.
//!
//! ```text
//! "ANTITRN1", length of the header (u64, little-endian), header (JSON), floats (f32, little-endian), SHA-256 of all before
//! ```

use std::io::Write as _;
use std::path::Path;

use antiphon::note_model::HeldOut;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::curve::Point;
use crate::error::TrainError;
use crate::trainer::Trainer;

const MAGIC: &[u8; 8] = b"ANTITRN1";
const DIGEST: usize = 32;

/// What stands beside the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Settings of the run.
    pub config: Config,
    /// Digest of the data.
    pub data_sha256: String,
    /// Steps taken.
    pub steps: u64,
    /// Seconds trained so far.
    pub seconds: f64,
    /// Best result of a look at held-out pieces; `None` before the first look.
    pub best: Option<HeldOut>,
    /// Looks at the held-out pieces since the best.
    pub since_best: u32,
    /// Pieces drawn and notes done, each stream.
    pub places: Vec<(u64, usize)>,
    /// Digest of the model file that training started from.
    #[serde(default)]
    pub from_sha256: Option<String>,
    /// All looks at the held-out pieces.
    #[serde(default)]
    pub history: Vec<Point>,
}

/// Writes a checkpoint; the one before is replaced only when the new one is complete.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, header: &Header, trainer: &Trainer<'_>, best: &[f32]) -> Result<(), TrainError> {
    let json = serde_json::to_vec(header).expect("a header is plain data");
    let mut bytes = Vec::with_capacity(64 + json.len() + 4 * 5 * best.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(json.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&json);
    let states = trainer.lanes.iter().flat_map(|lane| lane.shard.h.iter().chain(&lane.shard.c));
    let parts = [&trainer.weights.values, &trainer.adam.m, &trainer.adam.v, &trainer.average];
    for part in parts.into_iter().chain(states).map(Vec::as_slice).chain([best]) {
        part.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    write_whole(path, &bytes)
}

/// Reads a checkpoint: its header, and the floats to [`restore`] once the data are read.
///
/// # Errors
/// When the file cannot be read, is damaged or is none of ours.
pub fn read(path: &Path) -> Result<(Header, Vec<f32>), TrainError> {
    let bad = |why: &str| TrainError::Checkpoint { path: path.to_owned(), why: why.into() };
    let bytes = std::fs::read(path).map_err(|cause| bad(&format!("it cannot be read ({cause})")))?;
    let content = bytes.len().checked_sub(DIGEST).map(|end| bytes.split_at(end));
    let (content, digest) = content.ok_or_else(|| bad("it is cut short"))?;
    let rest = content.strip_prefix(MAGIC).ok_or_else(|| bad("it is no checkpoint of this antiphon-train"))?;
    if Sha256::digest(content).as_slice() != digest {
        return Err(bad("it is damaged"));
    }
    let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(|| bad("it is cut short"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (json, floats) = rest.split_at_checked(length).ok_or_else(|| bad("it is cut short"))?;
    let header = serde_json::from_slice(json).map_err(|error| bad(&error.to_string()))?;
    let floats = floats.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Ok((header, floats))
}

/// Puts the trainer where the checkpoint was taken, and returns the best weights so far.
///
/// # Errors
/// When the sizes do not fit.
pub fn restore(
    path: &Path,
    header: &Header,
    floats: &[f32],
    trainer: &mut Trainer<'_>,
) -> Result<Vec<f32>, TrainError> {
    let mut best = vec![0.0; trainer.weights.layout.total];
    trainer.set_places(&header.places);
    trainer.adam.steps = header.steps;
    let states = trainer
        .lanes
        .iter_mut()
        .flat_map(|lane| lane.shard.h.iter_mut().chain(&mut lane.shard.c).map(Vec::as_mut_slice));
    let parts: [&mut [f32]; 4] =
        [&mut trainer.weights.values, &mut trainer.adam.m, &mut trainer.adam.v, &mut trainer.average];
    let mut rest = floats;
    for part in parts.into_iter().chain(states).chain([best.as_mut_slice()]) {
        let (here, behind) = rest
            .split_at_checked(part.len())
            .ok_or_else(|| TrainError::Checkpoint { path: path.to_owned(), why: "it is of another size".into() })?;
        part.copy_from_slice(here);
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(TrainError::Checkpoint { path: path.to_owned(), why: "it is of another size".into() });
    }
    trainer.weights.pack();
    Ok(best)
}

/// Writes a file beside its place, then moves it there.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let temporary = path.with_added_extension("tmp");
    let error = |cause| TrainError::File { what: "write", path: path.to_owned(), cause };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(error)?;
    }
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|cause| {
        let _ = std::fs::remove_file(&temporary);
        error(cause)
    })
}
