//! What Antiphon itself needs: its configuration, its name, the ports, the model, a place for the take.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::{Finding, systems};
use crate::commands::configured::Arguments;
use crate::commands::jam_flags::JamFlags;
use crate::commands::model::{load, note_times};
use crate::ports::{self, Backend, PortName};

/// A note that takes longer than this at the 99th percentile eats into the 250 ms that a plan has.
const SLOW_NOTE_MS: u128 = 50;

/// Megabytes. A take of an hour needs less than one; a session file some tens.
const LITTLE_ROOM: u64 = 200;
const NO_ROOM: u64 = 5;

/// Looks at all of it.
pub(super) fn look(jam: &Arguments) -> Vec<Finding> {
    let (flags, config) = match jam.read_anew() {
        Ok(read) => read,
        Err(failure) => {
            let mend = "correct the line; `antiphon --check` reads it again";
            let mut findings = vec![Finding::wrong("configuration", failure.sentence.replace('\n', "; "), mend)];
            findings.extend(systems::look(Backend::Auto));
            return findings;
        }
    };
    let read = config.file.as_deref().map_or("no file".to_owned(), |file| file.display().to_string());
    let mut findings = vec![Finding::ok("configuration", read)];
    let slips = config.slips.iter();
    findings.extend(slips.map(|slip| Finding::warning("configuration", slip, "unset or rename the variable")));
    findings.extend(systems::look(flags.backend));
    findings.push(name(&flags.name));
    findings.extend(named_ports(&flags));
    findings.extend(model(&flags));
    findings.extend(disk(&flags.playing.out));
    findings
}

/// Whether another Antiphon has the name.
fn name(name: &PortName) -> Finding {
    let there = ports::holders(name);
    let Some(holder) = there.first() else {
        return Finding::ok("name", format!("the ports are called after {:?}; no other Antiphon is", name.client()));
    };
    let process = holder.process.map_or("another process".to_owned(), |process| format!("process {process}"));
    let says = format!("{process} plays as {:?}; a second one needs another name", name.client());
    Finding::warning("name", says, "`antiphon jam --name other`, with an --out of its own; or end the first")
}

/// Ports that are named but not there.
fn named_ports(flags: &JamFlags) -> Vec<Finding> {
    let backend = flags.backend.resolved();
    let there = ports::list().into_iter().filter(|system| (system.system == "JACK") == (backend == Backend::Jack));
    let [from, to] = there.filter_map(|system| system.ports.ok()).next().unwrap_or_default();
    let is_there = |wanted: &str, ports: &[String]| {
        let wanted = wanted.to_lowercase();
        ports.iter().any(|port| port.to_lowercase().contains(&wanted))
    };
    let sources = flags.connect_from.iter().filter(|name| !is_there(name, &from));
    let sinks = flags.connect_to.iter().map(|to| &to.name).filter(|name| !is_there(name, &to));
    let missing = sources.chain(sinks).map(|name| {
        let says = format!("no port is called {name:?}");
        let mend = "plug it in or start it; `antiphon ports` lists what there is";
        if flags.require_ports {
            Finding::wrong("named port", says, mend)
        } else {
            Finding::warning("named port", format!("{says}; it is waited for"), mend)
        }
    });
    missing.collect()
}

fn model(flags: &JamFlags) -> Vec<Finding> {
    let begun = Instant::now();
    let loaded = match load(flags.playing.model.as_deref(), &flags.playing.engine) {
        Ok(loaded) => loaded,
        Err(failure) => {
            let mend = "name another with --model, or leave it out for the one inside the program; for an engine, `--engine embedded`";
            return vec![Finding::wrong("model", failure.sentence, mend)];
        }
    };
    let digest: String = crate::model::NoteModel::origin(&loaded.model).sha256.chars().take(12).collect();
    let mut findings = vec![
        Finding::ok(
            "model",
            format!("{} (sha256 {digest}..., loaded in {} ms)", loaded.described, begun.elapsed().as_millis()),
        ),
        Finding::ok("engine", loaded.engine),
    ];
    let mut times = match note_times(loaded.model) {
        Ok(times) => times,
        Err(failure) => {
            findings.push(Finding::wrong("model", failure.sentence, "try `--engine embedded`"));
            return findings;
        }
    };
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    let says = format!("a note takes {} us (p50), {p99} us (p99)", times[times.len() / 2]);
    findings.push(if p99 > 1000 * SLOW_NOTE_MS {
        Finding::warning(
            "speed",
            says,
            "tools/get-onnxruntime.sh fetches a faster engine; or end what else computes here",
        )
    } else {
        Finding::ok("speed", says)
    });
    findings
}

fn disk(take: &Path) -> Vec<Finding> {
    let folder = take.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".antiphon-doctor-{}", std::process::id()));
    let written = fs::write(&probe, "a take could be here").and_then(|()| fs::remove_file(&probe));
    let shown = folder.display();
    if let Err(why) = written {
        let mend = format!("`mkdir -p {shown}`, or name a take elsewhere with --out");
        return vec![Finding::wrong("disk", format!("{shown} cannot be written: {why}"), mend)];
    }
    vec![match free_megabytes(folder) {
        None => Finding::ok("disk", format!("{shown} can be written")),
        Some(free) => room(&shown.to_string(), free),
    }]
}

fn room(folder: &str, free: u64) -> Finding {
    let says = format!("{folder} can be written, {free} MB are free");
    let mend = format!("empty it (`du -sh {folder}/*` shows what is big), or name a take elsewhere with --out");
    match free {
        ..NO_ROOM => Finding::wrong("disk", says, mend),
        NO_ROOM..LITTLE_ROOM => Finding::warning("disk", says, mend),
        _ => Finding::ok("disk", says),
    }
}

/// Asked of `df`, which every Unix has. `None` elsewhere.
fn free_megabytes(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let kilobytes: u64 = said.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kilobytes / 1000)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_disk_that_fills_up_is_warned_of_and_a_full_one_is_wrong() {
        let states = [4, 100, 5000].map(|free| room("/takes", free).state);
        assert_eq!(states, [State::Wrong, State::Warning, State::Ok]);
        let finding = disk(Path::new("no/such/folder/take.mid")).remove(0);
        assert_eq!(finding.state, State::Wrong);
        assert!(finding.mend.is_some_and(|mend| mend.contains("mkdir -p no/such/folder")));
    }

    #[test]
    fn a_named_port_that_is_missing_is_waited_for_unless_it_is_required() {
        let read = |more: &[&str]| {
            let words = ["antiphon", "jam", "--config", "none", "--connect-from", "No Such Keyboard"];
            Arguments(words.iter().chain(more).map(Into::into).collect()).read_anew().expect("it makes sense").0
        };
        let [waited, required] = [&[][..], &["--require-ports"]].map(|more| named_ports(&read(more)).remove(0));
        assert_eq!([waited.state, required.state], [State::Warning, State::Wrong]);
        assert!(waited.says.contains("No Such Keyboard"), "{waited:?}");
    }
}
