//! Fine-tuning: the weights of an exported model as a start, and whether going on from there has helped.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use antiphon::model::ModelFile;
use antiphon::model::onnx_proto::{self as onnx, element};
use antiphon::note_model::Description;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::config::Flags;
use crate::error::TrainError;
use crate::held_out::{Table, parts};
use crate::network::{Layout, Slot};

/// An exported model to start from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself.
    pub description: Description,
    /// Digest of the file, in hexadecimal.
    pub sha256: String,
    tensors: HashMap<String, onnx::Tensor>,
}

impl Start {
    /// Reads an exported model.
    ///
    /// # Errors
    /// When the file cannot be read or is no model of ours.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        if let Err(cause) = std::fs::metadata(path) {
            return Err(TrainError::File { what: "start from", path: path.to_owned(), cause });
        }
        let file = ModelFile::read(path).map_err(TrainError::Start)?;
        let model = onnx::Model::decode(file.bytes.as_slice()).unwrap_or_default();
        let tensors = model.graph.unwrap_or_default().initializer.into_iter();
        let named = tensors.filter_map(|tensor| tensor.name.clone().map(|name| (name, tensor)));
        let sha256 = Sha256::digest(&file.bytes).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Ok(Self { path: path.to_owned(), description: file.description, sha256, tensors: named.collect() })
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

    /// The weights, laid out as `layout` says. A style that the file does not know begins as `any`.
    ///
    /// # Errors
    /// When the file lacks a part or has one of another size.
    pub fn values(&self, layout: &Layout) -> Result<Vec<f32>, TrainError> {
        let mut values = vec![0.0; layout.total];
        for (name, slot) in layout.named() {
            let found = self.floats(&name)?;
            let place = slot.of_mut(&mut values);
            if name == "embedding.style" {
                let known = Slot { rows: self.description.styles.len().min(slot.rows), ..slot }.len();
                let found = found.get(..known).ok_or_else(|| self.refusal(&name, "is of another size"))?;
                place[..known].copy_from_slice(found);
                for row in place[known..].chunks_exact_mut(slot.cols) {
                    row.copy_from_slice(&found[..slot.cols]);
                }
            } else if name.starts_with("lstm.") && name.ends_with(".b") && found.len() == 2 * place.len() {
                // ONNX adds two bias vectors, the network here has one.
                let (input, recurrent) = found.split_at(place.len());
                for ((value, a), b) in place.iter_mut().zip(input).zip(recurrent) {
                    *value = a + b;
                }
            } else if found.len() == place.len() {
                place.copy_from_slice(&found);
            } else {
                return Err(self.refusal(&name, "is of another size"));
            }
        }
        Ok(values)
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>, TrainError> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.refusal(name, "is missing"))?;
        let bytes = tensor.raw_data.as_deref().filter(|_| tensor.data_type == Some(element::FLOAT));
        let bytes = bytes.ok_or_else(|| self.refusal(name, "is not kept as 32-bit numbers"))?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }

    fn refusal(&self, name: &str, what: &str) -> TrainError {
        TrainError::StartPart { path: self.path.clone(), part: name.to_owned(), what: what.to_owned() }
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
