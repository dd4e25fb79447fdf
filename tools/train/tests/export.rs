//! The exported file runs on the embedded engine and agrees with the trainer's own forward pass.
//!
//! With `ORT_DYLIB_PATH` set, the same tests run on ONNX Runtime.

mod common;

use antiphon::model::{ModelFile, Numbers};
use antiphon::note_model::{Boundaries, Description, FORMAT_VERSION, HeldOut, Sizes};
use antiphon_train::augment::encode;
use antiphon_train::export::half::rounded;
use antiphon_train::import::weights_from_onnx;
use antiphon_train::network::Layout;
use antiphon_train::publish::{TOLERANCE, check, publish};
use antiphon_train::random::Draws;
use antiphon_train::weights::Weights;

fn description(sizes: Sizes) -> Description {
    Description {
        format_version: FORMAT_VERSION,
        note_model: Boundaries::ours(),
        styles: vec!["any".into(), "tune".into()],
        sizes,
        training: serde_json::json!({}),
        data_sha256: String::new(),
        held_out: HeldOut::default(),
    }
}

#[test]
fn whole_and_stepwise_the_file_computes_what_the_trainer_computes() {
    let folder = tempfile::tempdir().expect("a folder");
    for sizes in [Sizes { layers: 1, hidden: 9, head: 8 }, Sizes { layers: 3, hidden: 40, head: 16 }] {
        let layout = Layout::new(sizes, 2);
        // Weights large enough to drive the gates into saturation here and there.
        let mut draws = Draws::new(2, 2);
        let values = (0..layout.total).map(|_| draws.between(-0.6, 0.6)).collect();
        let weights = Weights::new(layout, values);
        let path = folder.path().join("model.onnx");
        let notes = encode(&common::tune(1, 60));
        let checked = publish(&path, &weights, &description(sizes), Numbers::Float, &notes, 1).expect("a good file");
        assert!(checked.whole < TOLERANCE && checked.stepwise < TOLERANCE, "{checked:?}");
        let file = ModelFile::read(&path).expect("the instrument reads it");
        assert_eq!(file.description, description(sizes));
        let (_, values, described) = weights_from_onnx(&path).expect("and the trainer reads its weights back");
        assert_eq!(values, weights.values);
        assert_eq!(described, description(sizes));
    }
}

#[test]
fn a_file_with_other_weights_is_not_accepted_and_the_old_one_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let sizes = Sizes { layers: 1, hidden: 8, head: 8 };
    let layout = Layout::new(sizes, 2);
    let weights = Weights::new(layout.clone(), layout.initial(1));
    let path = folder.path().join("model.onnx");
    let notes = encode(&common::tune(1, 20));
    publish(&path, &weights, &description(sizes), Numbers::Float, &notes, 0).expect("a good file");
    let others = Weights::new(layout.clone(), layout.initial(2));
    let error = check(&path, &others, &notes, 0).expect_err("other weights");
    assert!(error.to_string().contains("logits differ"), "{error}");

    let before = std::fs::read(&path).expect("the file");
    // A million is a number, but none of 16 bits.
    for (weight, numbers) in [(f32::NAN, Numbers::Float), (f32::NAN, Numbers::Half), (1e6, Numbers::Half)] {
        let mut broken = layout.initial(1);
        broken[layout.heads[1].w.offset] = weight;
        let broken = Weights::new(layout.clone(), broken);
        publish(&path, &broken, &description(sizes), numbers, &notes, 0).expect_err("no number");
    }
    assert_eq!(std::fs::read(&path).expect("still there"), before);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left behind");
}

#[test]
fn a_file_of_half_the_size_computes_what_the_trainer_computes_with_rounded_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let sizes = Sizes { layers: 3, hidden: 40, head: 16 };
    let layout = Layout::new(sizes, 2);
    let mut draws = Draws::new(2, 2);
    let values: Vec<f32> = (0..layout.total).map(|_| draws.between(-0.6, 0.6)).collect();
    let weights = Weights::new(layout.clone(), values.clone());
    let [path, float] = ["half.onnx", "float.onnx"].map(|name| folder.path().join(name));
    let notes = encode(&common::tune(1, 60));
    let checked = publish(&path, &weights, &description(sizes), Numbers::Half, &notes, 1).expect("a good file");
    assert!(checked.whole < TOLERANCE && checked.stepwise < TOLERANCE, "{checked:?}");
    // It does not compute what the weights give before they are rounded: the check can tell.
    assert!(check(&path, &weights, &notes, 1).expect_err("rounded").to_string().contains("logits differ"));

    let whole = publish(&float, &weights, &description(sizes), Numbers::Float, &notes, 1).expect("a good file").bytes;
    assert!(checked.bytes < whole * 6 / 10, "{} of {whole}", checked.bytes);
    let numbers = |path| ModelFile::read(path).expect("the instrument reads it").numbers;
    assert_eq!([numbers(&path), numbers(&float)], [Numbers::Half, Numbers::Float]);
    let (_, read, described) = weights_from_onnx(&path).expect("and the trainer reads its weights back");
    assert_eq!(described, description(sizes));
    assert!(read.iter().zip(&values).all(|(read, value)| *read == rounded(*value)));
}
