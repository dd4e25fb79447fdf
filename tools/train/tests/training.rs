//! Training learns, and does not depend on threads or interruptions.

mod common;

use antiphon_train::checkpoint::{self, Header};
use antiphon_train::config::Config;
use antiphon_train::dataset::Dataset;
use antiphon_train::network::Layout;
use antiphon_train::streams::Source;
use antiphon_train::trainer::Trainer;

fn trainer<'a>(config: &Config, dataset: &'a Dataset) -> Trainer<'a> {
    let source = Source::new(dataset, &config.weights, config.seed).expect("a source");
    Trainer::new(config, Layout::new(config.sizes, dataset.styles.len()), source)
}

#[test]
fn one_phrase_is_learnt_by_heart() {
    let dataset = common::dataset(2, 24);
    let config = Config { dropout: 0.0, average: 0.0, batch: 16, sequence: 24, ..common::small_config() };
    let mut trainer = trainer(&config, &dataset);
    let first = trainer.step(0.02).sum();
    for _ in 0..400 {
        trainer.step(0.02);
    }
    let last = trainer.step(0.02);
    // Keys are transposed by twelve amounts, and times jittered: they keep some entropy.
    assert!(last.sum() < 0.6 * first, "{first} nats at first, {last:?} at last");
    assert!(last.loss[1] < 2.0, "keys: {last:?}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let dataset = common::dataset(8, 60);
    let config = common::small_config();
    let values = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let mut trainer = trainer(&config, &dataset);
            (0..6).for_each(|_| {
                trainer.step(0.01);
            });
            trainer.weights.values.clone()
        })
    });
    assert!(values[0] == values[1]);
}

#[test]
fn a_resumed_run_ends_with_the_weights_of_an_unbroken_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.checkpoint");
    let dataset = common::dataset(8, 60);
    let config = common::small_config();
    let mut unbroken = trainer(&config, &dataset);
    for step in 0..14 {
        if step == 7 {
            let header = Header {
                config: config.clone(),
                steps: unbroken.adam.steps,
                places: unbroken.places(),
                ..Header::default()
            };
            let best = unbroken.average.clone();
            checkpoint::save(&path, &header, &unbroken, &best).expect("saved");
        }
        unbroken.step(0.01);
    }
    let mut resumed = trainer(&config, &dataset);
    resumed.step(0.01);
    let (header, floats) = checkpoint::read(&path).expect("a checkpoint");
    checkpoint::restore(&path, &header, &floats, &mut resumed).expect("restored");
    for _ in 7..14 {
        resumed.step(0.01);
    }
    assert!(resumed.weights.values == unbroken.weights.values);
    assert!(resumed.adam == unbroken.adam);
    assert!(resumed.average == unbroken.average);
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.checkpoint");
    std::fs::write(&path, vec![7; 1000]).expect("written");
    let error = checkpoint::read(&path).map(|_| ()).expect_err("no checkpoint");
    assert!(error.to_string().contains("--retrain"), "{error}");
}

#[test]
fn weights_that_are_no_numbers_stop_the_step() {
    let dataset = common::dataset(4, 60);
    let config = common::small_config();
    let mut trainer = trainer(&config, &dataset);
    trainer.weights.values[0..2000].fill(f32::NAN);
    let step = trainer.step(0.01);
    assert!(!step.sum().is_finite() && !step.norm.is_finite(), "{step:?}");
    assert_eq!(trainer.adam.steps, 0, "Adam has not moved");
}

#[test]
fn a_style_has_the_share_of_notes_that_was_asked_for() {
    let mut dataset = common::dataset(12, 100);
    dataset.styles.push("rare".into());
    dataset.training[0].style = 2;
    let config = Config { weights: [("rare".into(), 0.5)].into(), batch: 16, sequence: 100, ..common::small_config() };
    let source = Source::new(&dataset, &config.weights, 1).expect("a source");
    let mut batch = antiphon_train::batches::Batch::new(1, 40_000);
    antiphon_train::streams::Stream::new(&source, 0).fill(&source, &mut batch, 0);
    let count = |style| f64::from(u32::try_from(batch.style.iter().filter(|s| **s == style).count()).expect("few"));
    // Half of the walks are told no style.
    let share = count(2) / (count(1) + count(2));
    assert!((0.4..0.6).contains(&share), "{share}");
    assert!(Source::new(&dataset, &[("nope".into(), 0.5)].into(), 1).is_err());
}

#[test]
fn what_the_last_key_says_is_learnt_within_a_hundred_steps() {
    // The tunes walk by one of seven intervals: 1.95 nats a key, if the last key is seen; 3.3 if it is not.
    let dataset = common::dataset(40, 300);
    let sizes = antiphon::note_model::Sizes { layers: 2, hidden: 96, head: 32 };
    let config = Config { dropout: 0.0, average: 0.0, batch: 32, sequence: 64, sizes, ..common::small_config() };
    let mut trainer = trainer(&config, &dataset);
    let keys: Vec<f64> = (0..120).map(|_| trainer.step(0.006).loss[1]).collect();
    assert!(keys[119] < 2.9, "{keys:?}");
}
