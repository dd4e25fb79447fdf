//! Makes the listening page: goes on with each prompt of `FOLDER/prompts`, and writes what comes of it as NAME.mid (two
//! tracks) and as a piano roll NAME.svg, with an index, README.md.
//!
//! `cargo run --release -p antiphon-train --example listening -- MODEL FOLDER [SEED]`
//!
//! Nothing is picked: one continuation of each prompt, with the instrument's own settings and one seed for all, which is
//! 1 unless told otherwise.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use antiphon::midi_file::read_notes;
use antiphon::model::{Engine, EngineChoice, LstmModel, ModelFile};
use antiphon_train::picture::{alone, piano_roll};
use antiphon_train::samples::{Sample, go_on};

/// Notes of a continuation.
const NOTES: usize = 120;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "listening MODEL FOLDER [SEED]";
    let file = ModelFile::read(Path::new(&arguments.next().context(usage)?))?;
    let folder = PathBuf::from(arguments.next().context(usage)?);
    let seed: u64 = arguments.next().map_or(Ok(1), |seed| seed.parse()).context(usage)?;
    let engine = Engine::start(&EngineChoice::Embedded)?;

    let prompts = folder.join("prompts");
    let entries = std::fs::read_dir(&prompts).with_context(|| format!("cannot read {}", prompts.display()))?;
    let mut prompts: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    prompts.retain(|path| path.extension().is_some_and(|extension| extension == "mid"));
    prompts.sort();
    ensure!(!prompts.is_empty(), "there is no .mid file in {}", folder.join("prompts").display());

    let mut index = String::from(include_str!("listening.md"));
    let _ = writeln!(
        index,
        "\n    cargo run --release -p antiphon-train --example listening -- models/antiphon.onnx docs/listening {seed}\n"
    );
    for prompt in prompts {
        let name = prompt.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let prime = read_notes(&prompt)?;
        let mut model = LstmModel::load(&file, &engine)?;
        let answer = go_on(&mut model, &prime, 0, NOTES, seed)?;
        std::fs::write(folder.join(format!("{name}.svg")), alone(&piano_roll(&prime, &answer)))?;
        let title = name
            .split_once('-')
            .map_or(name.clone(), |(number, words)| format!("{number}. {}", words.replace('-', " ")));
        let _ = writeln!(
            index,
            "## {title}\n\n[what was played](prompts/{name}.mid), {} notes; [with the answer]({name}.mid)\n\n![piano roll]({name}.svg)\n",
            prime.len()
        );
        let sample = Sample { name: name.clone(), style: String::new(), prime, answer };
        std::fs::write(folder.join(format!("{name}.mid")), sample.to_midi()?)?;
        println!("{name}");
    }
    std::fs::write(folder.join("README.md"), index.trim_end().to_owned() + "\n")?;
    Ok(())
}
