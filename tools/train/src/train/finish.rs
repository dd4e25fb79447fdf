//! The end of a run: the result on held-out pieces, the model file, the report.

use std::path::Path;

use antiphon::model::Numbers;
use antiphon::note_model::{Boundaries, Description, FORMAT_VERSION, HeldOut};
use serde_json::json;

use super::Run;
use crate::checkpoint::write_whole;
use crate::dataset::Piece;
use crate::error::{Exit, TrainError};
use crate::held_out::{Table, parts};
use crate::publish::publish;
use crate::report::{self, Report};
use crate::samples::sample;
use crate::start::Verdict;
use crate::weights::Weights;

/// Longest piece that the exported file is checked on.
const CHECK_NOTES: usize = 1000;

impl Run<'_> {
    /// Measures the best weights on all held-out pieces, writes and checks the model.
    pub(super) fn finish(mut self, interrupted: bool) -> Result<Exit, TrainError> {
        let steps = self.trainer.adam.steps;
        let saved = format!(
            "interrupted at step {steps}; saved {}, `antiphon-train --resume --model {}` goes on",
            self.config.checkpoint().display(),
            self.config.model.display()
        );
        if interrupted && (self.header.best.is_none() || steps == 0) {
            match steps {
                0 => println!("interrupted before the first step; nothing was written"),
                _ => println!("{saved}; no model was written yet"),
            }
            return Ok(Exit::Interrupted);
        }
        let layout = self.trainer.weights.layout.clone();
        let mut weights = Weights::new(layout.clone(), std::mem::take(&mut self.best));
        let start = self.start.take().map(|(start, values)| (start, Weights::new(layout, values)));
        let mut tuned = None;
        // Whoever interrupts does not want to wait for the whole measurement: the last glance must do.
        let table = (!interrupted).then(|| {
            let mut table = Table::measure(&weights, self.dataset);
            print!("{}", table.text());
            if let Some((_, start)) = start {
                let before = Table::measure(&start, self.dataset);
                let verdict = Verdict::of(&before, &table);
                print!("{}", verdict.text(&before, &table));
                if !verdict.helped {
                    (weights, table) = (start, before.clone());
                }
                tuned = Some((before, verdict));
            }
            table
        });
        let glance = self.header.best.unwrap_or_default();
        let held_out = table.as_ref().map_or(glance, Table::result);
        let description = self.description(held_out);
        let piece = self.piece_to_check();
        let notes = &piece.classes[..piece.classes.len().min(CHECK_NOTES)];
        let checked = publish(&self.config.model, &weights, &description, Numbers::Float, notes, piece.style)?;
        println!(
            "wrote {} ({:.1} MB): {} held out; checked on {} notes with the {} engine, logits differ by {:.1e} whole and {:.1e} stepwise at most",
            self.config.model.display(),
            f64::from(u32::try_from(checked.bytes).unwrap_or(u32::MAX)) / 1e6,
            parts(&held_out.bits_per_note),
            checked.notes,
            checked.engine,
            checked.whole,
            checked.stepwise,
        );
        if self.has_report {
            let before = tuned.as_ref().map(|(before, verdict)| (before, verdict.sentence.as_str()));
            // The model is written: a report that cannot be does not make the run a failure.
            match self.report(&description, checked.bytes, table.as_ref(), before) {
                Ok(()) => println!("wrote {}", report::path(&self.config.model).display()),
                Err(error) => eprintln!("antiphon-train: the model is written, its report is not: {error}"),
            }
        }
        if interrupted {
            println!("{saved}");
            return Ok(Exit::Interrupted);
        }
        Ok(Exit::Done)
    }

    fn report(
        &self,
        description: &Description,
        bytes: usize,
        table: Option<&Table>,
        before: Option<(&Table, &str)>,
    ) -> Result<(), TrainError> {
        let (config, dataset) = (self.config, self.dataset);
        let samples = sample(&config.model, dataset, config.seed)?;
        // Of the program only its name: where it lies is nobody's business.
        let command = std::env::args().skip(1);
        let command = std::iter::once("antiphon-train".to_owned()).chain(command).collect();
        let header = &self.header;
        let report = Report { config, command, dataset, header, description, bytes, table, before, samples: &samples };
        write_whole(&report::path(&config.model), report.html().as_bytes())
    }

    fn description(&self, held_out: HeldOut) -> Description {
        let config = self.config;
        let training = json!({
            "layers": config.sizes.layers, "hidden": config.sizes.hidden, "head": config.sizes.head,
            "sequence": config.sequence, "batch": config.batch, "rate": config.rate, "seed": config.seed,
            "dropout": config.dropout, "average": config.average, "weights": config.weights,
            "epochs": config.epochs, "steps_asked": config.steps, "max_minutes": config.max_minutes,
            "steps": self.trainer.adam.steps, "minutes": (self.header.seconds / 6.0).round() / 10.0,
            "training_pieces": self.dataset.training.len(), "training_notes": self.dataset.training_notes(),
            "trainer": env!("CARGO_PKG_VERSION"),
            "from": config.from.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy()),
            "from_sha256": self.header.from_sha256,
        });
        Description {
            format_version: FORMAT_VERSION,
            note_model: Boundaries::ours(),
            styles: self.dataset.styles.clone(),
            sizes: config.sizes,
            training,
            data_sha256: self.dataset.sha256.clone(),
            held_out,
        }
    }

    /// The longest held-out piece that is not too long, else the first.
    fn piece_to_check(&self) -> &Piece {
        let held_out = &self.dataset.held_out;
        let fitting = held_out.iter().filter(|piece| piece.notes.len() <= CHECK_NOTES);
        fitting.max_by_key(|piece| piece.notes.len()).unwrap_or(&held_out[0])
    }
}
