//! The exported file runs on the embedded engine and agrees with the trainer's own forward pass.

use std::path::Path;

use antiphon::model::{Engine, EngineChoice, LstmModel, ModelFile, NoteModel};
use antiphon::note_model::{Attribute, Description, FORMAT_VERSION, HeldOut, NoteClasses, Sizes};
use antiphon_train::batches::Batch;
use antiphon_train::export;
use antiphon_train::network::Layout;
use antiphon_train::random::Draws;
use antiphon_train::shard::Shard;
use antiphon_train::weights::Weights;

#[test]
fn early() {
    let sizes = Sizes { layers: 2, hidden: 24, head: 12 };
    let layout = Layout::new(sizes, 3);
    let values = layout.initial(7);
    let description = Description {
        format_version: FORMAT_VERSION,
        note_model: serde_json::from_value(serde_json::json!({"cell_us":10000,"shift_cells":antiphon::note_model::TimeBins::shift().boundaries(),"keys":128,"duration_cells":antiphon::note_model::TimeBins::duration().boundaries(),"velocity_bins":32})).unwrap(),
        styles: vec!["any".into(), "a".into(), "b".into()],
        sizes,
        training: serde_json::json!({}),
        data_sha256: String::new(),
        held_out: HeldOut::default(),
    };
    let bytes = export::to_onnx(&layout, &values, &description);
    std::fs::write("/tmp/early.onnx", &bytes).unwrap();
    let file = ModelFile::from_bytes(Path::new("early.onnx"), bytes).unwrap();
    let engine = Engine::start(&match std::env::var_os("ANTIPHON_TEST_ONNXRUNTIME") {
        Some(path) => EngineChoice::OnnxRuntime(path.into()),
        None => EngineChoice::Embedded,
    })
    .unwrap();
    eprintln!("{}", engine.name());
    let mut model = LstmModel::load(&file, &engine).unwrap();
    let mut draws = Draws::new(3, 3);
    let notes: Vec<NoteClasses> =
        (0..50).map(|_| NoteClasses(Attribute::ALL.map(|a| draws.below(a.classes()) as u8))).collect();
    let scored = model.score(&notes, 1).unwrap();
    let mut batch = Batch::new(1, notes.len());
    let mut last = None;
    for (row, note) in notes.iter().enumerate() {
        batch.set(row, last, *note, 1, [true; 4]);
        last = Some(*note);
    }
    let weights = Weights::new(layout.clone(), values);
    let mut shard = Shard::new(&layout, 1, notes.len(), false);
    shard.forward(&weights, &batch, None);
    let mut worst = 0f32;
    for a in 0..4 {
        let own = shard.logits(&weights, &batch, a);
        assert_eq!(own.len(), scored.tables[a].len());
        for (x, y) in own.iter().zip(&scored.tables[a]) {
            worst = worst.max((x - y).abs());
        }
    }
    eprintln!("worst whole {worst}");
    let mut state = model.start(1).unwrap();
    let mut out = Vec::new();
    let mut worst2 = 0f32;
    for (row, note) in notes.iter().enumerate() {
        for a in Attribute::ALL {
            model.logits(&state, *note, a, &mut out).unwrap();
            let w = a.classes();
            for (x, y) in out.iter().zip(&scored.tables[a.index()][row * w..]) {
                worst2 = worst2.max((x - y).abs());
            }
        }
        model.advance(&mut state, *note, 1).unwrap();
    }
    eprintln!("worst step {worst2}");
    assert!(worst < 1e-4 && worst2 < 1e-4);
}
