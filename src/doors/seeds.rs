//! Sound input for each door, made here.

use prost::Message as _;
use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType, encoder};

use crate::config::template;
use crate::ensemble::{Ensemble, Opening};
use crate::midi::{ShortMessage, TimedMessage};
use crate::midi_file::{Score, Track, write};
use crate::model::onnx_proto as onnx;
use crate::model::toy::ToyModel;
use crate::model::{BUNDLED_MODEL, NoteModel as _};
use crate::note_model::Description;
use crate::offline;
use crate::session_file::{Header, Lines};
use crate::settings::{SETTINGS, Settings};
use crate::time::SessionTime;

const PHRASE: &[u8] = include_bytes!("../../assets/phrase.mid");

pub(super) fn live() -> Vec<Vec<u8>> {
    let on = |delay, key| [delay, 3, 0x90, key, 80];
    let off = |delay, key| [delay, 3, 0x80, key, 64];
    let phrase: Vec<u8> = (60..68).flat_map(|key| [on(5, key), off(60, key)].concat()).collect();
    let pedal = [&[0, 3, 0xB0, 64, 127][..], &phrase, &[0, 3, 0xB0, 64, 0]].concat();
    let clock: Vec<u8> = (0..48).flat_map(|_| [5, 1, 0xF8]).collect();
    let odd =
        [&[0, 3, 0xB0, 123, 0][..], &[0, 2, 0xC1, 5, 0, 0, 0, 7, 0xF0, 1, 2, 3, 4, 5, 0xF7], &on(0, 60), &on(1, 60)];
    let mut all: Vec<Vec<u8>> = (0..4).map(|mode| [&[mode][..], &phrase].concat()).collect();
    all.push([&[0x90][..], &pedal].concat());
    all.push([&[0][..], &[0, 1, 0xFA], &clock, &phrase].concat());
    all.push([&[1][..], &odd.concat()].concat());
    all
}

pub(super) fn midi_file() -> Vec<Vec<u8>> {
    let at = |ms: u64| SessionTime::from_micros(ms * 1000);
    let messages: [(SessionTime, &[u8]); 6] = [
        (at(0), &[0x90, 60, 70]),
        (at(10), &[0xB0, 64, 127]),
        (at(300), &[0x80, 60, 64]),
        (at(600), &[0xC0, 1]),
        (at(650), &[0xE0, 0, 70]),
        (at(700), &[0xB0, 64, 0]),
    ];
    let tracks = vec![Track::of_messages("You", messages), Track::of_messages("Antiphon", messages)];
    let small = write(Score { tracks, ..Score::default() }).expect("short");
    let time_code = [&small[..12], &[0xE7, 0x28], &small[14..]].concat();
    let patterns = [&small[..9], &[2], &small[10..]].concat();
    let riff = [&b"RIFF\xFF\0\0\0RMIDdata\xF0\0\0\0"[..], &small].concat();
    vec![PHRASE.to_vec(), small, time_code, patterns, riff]
}

pub(super) fn config() -> Vec<Vec<u8>> {
    let lines = "patience 2\nlearn temperature\nforget all\nmode=solo\nstyle folk\nmodel 2\nhand-over\ncc20=patience:0.5..3:log\n";
    let file = "channel = 3\nconnect-from = [\"one\", \"two\"]\nno-session = true\n[settings]\nthru = true\ntemperature = 0.5\n\
                [map]\ncc66 = [\"hand-over\", \"mode solo\"]\n\"key60\" = \"panic\"\n";
    let settings = SETTINGS.iter().map(|setting| setting.show(setting.default)).zip(SETTINGS);
    let settings: Vec<String> = settings.map(|(value, setting)| format!("{} = {value:?}", setting.name)).collect();
    let whole = template(super::keys());
    [lines, file, &format!("[settings]\n{}\n", settings.join("\n")), &whole].map(|text| text.as_bytes().to_vec()).into()
}

/// The bundled model with all sizes made small, so that its weights are not all that is mutated.
pub(super) fn model() -> Vec<Vec<u8>> {
    vec![small_model().encode_to_vec()]
}

pub(super) fn small_model() -> onnx::Model {
    let mut model = onnx::Model::decode(BUNDLED_MODEL).expect("whole");
    model.doc_string = None;
    let entry = model.metadata_props[0].value.as_mut().expect("JSON");
    let mut description: Description = serde_json::from_str(entry).expect("ours");
    let sizes = description.sizes;
    (description.sizes.hidden, description.sizes.head) = (8, 2);
    description.training = serde_json::json!({});
    *entry = serde_json::to_string(&description).expect("plain data");
    let (hidden, head) = (as_i64(sizes.hidden), as_i64(sizes.head));
    let smaller = |size: i64| match size {
        size if size == 8 * hidden => 64,
        size if size == 4 * hidden => 32,
        size if size == hidden || size == 4 * head => 8,
        size if size == head => 2,
        size => size,
    };
    let graph = model.graph.as_mut().expect("a graph");
    graph.doc_string = None;
    for tensor in &mut graph.initializer {
        let name = tensor.name().to_owned();
        if name == "head.sizes" {
            tensor.raw_data = Some([2i64; 4].iter().flat_map(|size| size.to_le_bytes()).collect());
        }
        let width = match tensor.data_type() {
            onnx::element::FLOAT => 4,
            onnx::element::FLOAT16 => 2,
            _ => continue,
        };
        let last = tensor.dims.len() - 1;
        for (place, size) in tensor.dims.iter_mut().enumerate() {
            // Embeddings are one wide, and there are five.
            *size = match &*name {
                name if name.starts_with("embedding.") && place == last => 1,
                "lstm.0.w" if place == last => 5,
                name if name.starts_with("embedding.") => *size,
                _ => smaller(*size),
            };
        }
        let numbers = usize::try_from(tensor.dims.iter().product::<i64>()).expect("small");
        tensor.raw_data.as_mut().expect("raw").truncate(width * numbers);
    }
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        value.doc_string = None;
        let is_logits = value.name().ends_with("_logits");
        let tensor_type = value.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut());
        let dims = tensor_type.and_then(|kind| kind.shape.as_mut()).map(|shape| &mut shape.dim);
        for dimension in dims.into_iter().flatten().filter(|_| !is_logits) {
            if let Some(onnx::DimensionValue::Value(size)) = &mut dimension.value {
                *size = smaller(*size);
            }
        }
    }
    quiet(graph);
    model
}

/// Makes the operators say nothing of themselves, and know the smaller sizes.
fn quiet(graph: &mut onnx::Graph) {
    for node in &mut graph.node {
        (node.doc_string, node.name) = (None, None);
        for attribute in &mut node.attribute {
            if attribute.name() == "hidden_size" {
                attribute.i = Some(8);
            }
            attribute.g.iter_mut().for_each(quiet);
        }
    }
}

fn as_i64(size: usize) -> i64 {
    i64::try_from(size).expect("small")
}

pub(super) fn osc() -> Vec<Vec<u8>> {
    let message = |address: &str, args: Vec<OscType>| OscPacket::Message(OscMessage { addr: address.into(), args });
    let temperature = message("/antiphon/set/temperature", vec![OscType::Float(0.5)]);
    let mode = message("/antiphon/set/mode", vec![OscType::String("solo".into())]);
    let subscribe = message("/antiphon/subscribe", vec![OscType::Int(9000)]);
    let pattern = message("/antiphon/set/{key,*}-temper[a-z]ture", vec![OscType::Int(1)]);
    let panic = message("/antiphon/panic", vec![]);
    let inner = OscPacket::Bundle(OscBundle {
        timetag: OscTime { seconds: 4_000_000_001, fractional: 5 },
        content: vec![mode.clone(), panic.clone()],
    });
    let bundle = OscPacket::Bundle(OscBundle {
        timetag: OscTime { seconds: 0, fractional: 1 },
        content: vec![temperature.clone(), inner],
    });
    let all = [temperature, mode, subscribe, pattern, panic, bundle];
    all.iter().map(|packet| encoder::encode(packet).expect("to memory")).collect()
}

pub(super) fn session() -> Vec<Vec<u8>> {
    let toy = ToyModel::default();
    let opening = Opening { settings: Settings::default(), channel: 0, seed: 7 };
    let header = Header::new("toy", toy.origin(), &opening);
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Lines::new(&header)));
    let sink = std::sync::Arc::clone(&lines);
    let ensemble = Ensemble::new(toy, header.opening()).expect("a toy starts").leading_by(header.lead);
    let mut ensemble = ensemble.transcribed(move |entry| sink.lock().expect("nobody panics").add(entry));
    let at = |ms: u64| SessionTime::from_micros(ms * 1000);
    let input: Vec<TimedMessage> = (0..4)
        .flat_map(|n| {
            let key = 60 + u8::try_from(n).expect("small");
            let on = TimedMessage { time: at(200 * n), message: ShortMessage::note_on(0, key, 70) };
            [on, TimedMessage { time: at(200 * n + 150), message: ShortMessage::note_off(0, key) }]
        })
        .collect();
    offline::run(&mut ensemble, &input, at(4000), || false, |_| {}).expect("a toy runs");
    let text = lines.lock().expect("nobody panics").text().to_owned();
    let begins = text.split_once("begin\n").map_or("", |(header, _)| header).to_owned();
    let by_hand = format!(
        "{begins}begin\nh 0 903c46\nc 80 patience 2\nc 5 mode accompany\nm {} other\nw 100 200 300\nlost 12\n",
        "0".repeat(64)
    );
    vec![text.into_bytes(), by_hand.into_bytes()]
}

pub(super) fn page() -> Vec<Vec<u8>> {
    [
        r#"{"value": 0.5}"#,
        r#"{"value": "solo"}"#,
        r#"{"control": "patience 2"}"#,
        r#"{"control": "learn temperature:0.5..1:log"}"#,
        r#"{"direction": "from", "name": "Keystation"}"#,
        r#"{"direction": "to", "name": "FLUID@-20ms"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
