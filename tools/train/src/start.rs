//! Fine-tuning: the weights of an exported model as a start, and whether going on from there has helped.

use std::path::{Path, PathBuf};

use antiphon::note_model::Description;
use sha2::{Digest, Sha256};

use crate::config::Flags;
use crate::dataset::hexadecimal;
use crate::error::TrainError;
use crate::held_out::{Table, parts};
use crate::import::weights_from_onnx;
use crate::network::Layout;

/// An exported model to start from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself.
    pub description: Description,
    /// Digest of the file, in hexadecimal.
    pub sha256: String,
    layout: Layout,
    weights: Vec<f32>,
}

impl Start {
    /// Reads an exported model.
    ///
    /// # Errors
    /// When the file cannot be read or is no model of ours.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let bytes = std::fs::read(path).map_err(|cause| TrainError::File {
            what: "start from",
            path: path.to_owned(),
            cause,
        })?;
        let (layout, weights, description) = weights_from_onnx(path)?;
        let sha256 = hexadecimal(&Sha256::digest(&bytes));
        Ok(Self { path: path.to_owned(), description, sha256, layout, weights })
    }

    /// Refuses sizes that were typed and are not the file's.
    ///
    /// # Errors
    /// [`TrainError::Usage`], which names the flag.
    pub fn check(&self, flags: &Flags) -> Result<(), TrainError> {
        let sizes = self.description.sizes;
        let typed = [
            ("--layers", flags.layers, sizes.layers),
            ("--hidden", flags.hidden, sizes.hidden),
            ("--head", flags.head, sizes.head),
        ];
        for (flag, typed, own) in typed {
            if let Some(typed) = typed.filter(|typed| *typed as usize != own) {
                return Err(TrainError::Usage(format!(
                    "{flag} {typed} contradicts {}, which has {own}; leave it out, or train anew without --from",
                    self.path.display()
                )));
            }
        }
        Ok(())
    }

    /// The weights, laid out as `layout` says: of the same sizes, perhaps with more styles. A style that the file does
    /// not know begins as `any`.
    pub fn values(&self, layout: &Layout) -> Vec<f32> {
        let mut values = vec![0.0; layout.total];
        for ((_, own), (_, place)) in self.layout.named().into_iter().zip(layout.named()) {
            let own = own.of(&self.weights);
            let (known, new) = place.of_mut(&mut values).split_at_mut(own.len());
            known.copy_from_slice(own);
            // Only the table of styles may be longer.
            for row in new.chunks_exact_mut(place.cols) {
                row.copy_from_slice(&own[..place.cols]);
            }
        }
        values
    }
}

/// Whether fine-tuning has helped.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Fewer bits per note on the held-out pieces than before.
    pub helped: bool,
    /// It in a sentence.
    pub sentence: String,
}

impl Verdict {
    /// Compares the held-out pieces before and after.
    pub fn of(before: &Table, after: &Table) -> Self {
        let (old, new) = (before.all.any.sum(), after.all.any.sum());
        let helped = new < old;
        let plural = if after.all.pieces == 1 { "" } else { "s" };
        let pieces = format!("{} held-out piece{plural} with {} notes", after.all.pieces, after.all.notes);
        let sentence = if helped {
            let (fewer, share) = (old - new, 100.0 * (old - new) / old);
            format!("fine-tuning helped: {fewer:.3} bits per note fewer ({share:.1} %) on {pieces}")
        } else {
            format!(
                "fine-tuning did not help on {pieces}: the file keeps the start model's weights; more songs or a lower --rate may help"
            )
        };
        Self { helped, sentence }
    }

    /// Before, after and the sentence, for people.
    pub fn text(&self, before: &Table, after: &Table) -> String {
        let (before, after) = (parts(&before.all.any), parts(&after.all.any));
        format!("before  {before}\nafter   {after}\n{}\n", self.sentence)
    }
}
