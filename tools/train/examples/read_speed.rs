//! Our part of `make bench-read`: reads the same files again and again, each time when it is told to.
//!
//! `read_speed LIST`, where LIST names a file a line. A line `THREADS PART PARTS` on standard input asks to read every
//! PARTS-th file from number PART on; the answer is a line of JSON: `{"seconds":…,"notes":…}`. Files that cannot be
//! read count no notes.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::time::Instant;

use antiphon::midi_file::read_notes;
use anyhow::{Context, bail};
use rayon::prelude::*;
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let list = std::env::args_os().nth(1).context("usage: read_speed LIST")?;
    let list = std::fs::read_to_string(list).context("the list of files")?;
    let files: Vec<PathBuf> = list.lines().map(PathBuf::from).collect();
    for line in std::io::stdin().lock().lines() {
        let numbers: Result<Vec<usize>, _> = line?.split_whitespace().map(str::parse).collect();
        let Ok([threads, part, parts @ (1..)]) = numbers.as_deref() else { bail!("expected: THREADS PART PARTS") };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(*threads).build()?;
        let files: Vec<&PathBuf> = files.iter().skip(*part).step_by(*parts).collect();
        let count = |path: &&PathBuf| read_notes(path).map_or(0, |notes| notes.len());
        let begin = Instant::now();
        // One thread is this one: on a busy machine another would first have to be woken.
        let notes: usize = match threads {
            1 => files.iter().map(count).sum(),
            _ => pool.install(|| files.par_iter().map(count).sum()),
        };
        println!("{}", json!({ "seconds": begin.elapsed().as_secs_f64(), "notes": notes }));
    }
    Ok(())
}
