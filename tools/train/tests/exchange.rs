//! What goes to the PyTorch trainer and comes back.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use antiphon::model::{ModelFile, Numbers};
use antiphon_train::dataset::Dataset;
use common::write_tune;
use safetensors::SafeTensors;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon-train"));
    command.current_dir(folder).env_remove("ORT_DYLIB_PATH").env("XDG_CACHE_HOME", folder.join("cache"));
    command.args(arguments).output().expect("the command starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn weights_go_out_and_come_back_as_the_same_model() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("mid_songs/folk/{number}.mid")), number, 40);
    }
    let small = ["--hidden", "16", "--head", "8", "--batch", "16", "--sequence", "16", "--epochs", "1"];
    let trained = run(folder.path(), &small);
    assert!(trained.status.success(), "{}", text(&trained));
    let out = run(folder.path(), &["weights", "models/antiphon.onnx", "--out", "w.safetensors"]);
    assert!(out.status.success(), "{}", text(&out));
    let back = run(folder.path(), &["export", "w.safetensors", "--model", "again.onnx"]);
    assert!(back.status.success(), "{}", text(&back));
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("a file");
    assert_eq!(read("models/antiphon.onnx"), read("again.onnx"));

    // A file cut short is refused with a sentence, and the model in its place stays.
    let whole = read("w.safetensors");
    std::fs::write(folder.path().join("cut.safetensors"), &whole[..whole.len() / 2]).expect("written");
    let refused = run(folder.path(), &["export", "cut.safetensors", "--model", "again.onnx"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(text(&refused).contains("cannot take the weights of cut.safetensors"), "{}", text(&refused));
    assert_eq!(read("models/antiphon.onnx"), read("again.onnx"));
}

#[test]
fn a_model_is_halved_and_trained_on() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        write_tune(&folder.path().join(format!("mid_songs/folk/{number}.mid")), number, 40);
    }
    let small = ["--batch", "16", "--sequence", "16", "--epochs", "1", "--no-report"];
    let trained = run(folder.path(), &[&small[..], &["--hidden", "32", "--head", "8"]].concat());
    assert!(trained.status.success(), "{}", text(&trained));
    let halved = run(folder.path(), &["export", "models/antiphon.onnx", "--half", "--model", "half.onnx"]);
    assert!(halved.status.success(), "{}", text(&halved));
    let file = |name: &str| ModelFile::read(&folder.path().join(name)).expect("a model");
    let (whole, half) = (file("models/antiphon.onnx"), file("half.onnx"));
    assert_eq!((whole.numbers, half.numbers), (Numbers::Float, Numbers::Half));
    assert_eq!(whole.description, half.description);

    // Halved again, in its own place, it stays as it is; training goes on from it, in 32 bits.
    let again = run(folder.path(), &["export", "half.onnx", "--half", "--model", "half.onnx"]);
    assert!(again.status.success(), "{}", text(&again));
    assert!(file("half.onnx").bytes == half.bytes);
    let tuned = run(folder.path(), &[&small[..], &["--from", "half.onnx", "--model", "tuned.onnx"]].concat());
    assert!(tuned.status.success(), "{}", text(&tuned));
    assert!(text(&tuned).contains("starting from half.onnx"), "{}", text(&tuned));
    assert_eq!(file("tuned.onnx").numbers, Numbers::Float);
}

#[test]
fn an_encoded_data_set_holds_every_note() {
    let folder = tempfile::tempdir().expect("a folder");
    let songs = folder.path().join("songs");
    for number in 0..12 {
        write_tune(&songs.join(format!("folk/{number}.mid")), number, 30 + 5 * usize::try_from(number).expect("small"));
    }
    let output = run(folder.path(), &["encode", "songs", "--out", "data.safetensors", "--seed", "3"]);
    assert!(output.status.success(), "{}", text(&output));
    let dataset = Dataset::read(&[songs], 3).expect("enough notes");
    let bytes = std::fs::read(folder.path().join("data.safetensors")).expect("a file");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a safetensors file");
    let description = &header.metadata().as_ref().expect("metadata")["antiphon"];
    let description: serde_json::Value = serde_json::from_str(description).expect("JSON");
    assert_eq!(description["data_sha256"], dataset.sha256);
    assert_eq!(description["styles"], serde_json::json!(["any", "folk"]));

    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let tensor = |name: &str| tensors.tensor(name).expect("a tensor");
    let pieces: Vec<_> = dataset.training.iter().chain(&dataset.held_out).collect();
    let keys: Vec<u8> = pieces.iter().flat_map(|piece| piece.notes.iter().map(|note| note.key)).collect();
    assert_eq!(tensor("key").data(), keys);
    assert_eq!(tensor("onset_us").shape(), [keys.len()]);
    assert_eq!(tensor("piece_start").shape(), [pieces.len() + 1]);
    assert_eq!(tensor("piece_is_held_out").data().iter().map(|&flag| usize::from(flag)).sum::<usize>(), 1);
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    write_tune(&at("songs/1.mid"), 1, 60);
    let encoded = run(folder.path(), &["encode", "songs", "--out", "data.safetensors"]);
    assert!(encoded.status.success(), "{}", text(&encoded));
    let refused = run(folder.path(), &["export", "data.safetensors", "--model", "m.onnx"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(!at("m.onnx").exists());
}
