//! Commands and typed lines that stand in the documents can be typed.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;

use super::configured::commands;
use crate::control::{Assignment, Control};
use crate::song_folder::name;

/// The pages for people, by their paths.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide =
        std::fs::read_dir(root.join("docs/guide")).expect("the guide").map(|entry| entry.expect("a page").path());
    let mut paths: Vec<PathBuf> = guide.chain([root.join("README.md"), root.join("docs/osc.md")]).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).expect("text"))).collect()
}

/// What stands between backticks on one line or two, and lines of code.
fn code(text: &str) -> Vec<String> {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    for line in text.lines() {
        if line.starts_with("    ") {
            blocks.push(line.trim().to_owned());
            prose.push('\n');
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    blocks.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
    blocks
}

/// The words of a command line, up to a comment, a pipe or the next command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#' | '|' | '>' | '&' | ';') if word.is_none() => return words,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_command_in_the_guide_can_be_typed() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for (path, text) in pages() {
        for line in code(&text).iter().filter(|line| line.starts_with("antiphon ")) {
            let words = words(line);
            tried += 1;
            let Err(error) = commands().try_get_matches_from(&words) else { continue };
            // Its name alone, where the text speaks of it.
            let is_a_name = words.len() == 2 && error.kind() == ErrorKind::MissingRequiredArgument;
            if error.use_stderr() && !is_a_name {
                wrong.push(format!("{}: `{line}`: {error}", name(&path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 50, "only {tried} commands were found");
}

#[test]
fn every_word_that_the_guide_says_to_type_and_every_mapping_is_understood() {
    let mut tried = 0;
    for (path, text) in pages() {
        let flat = text.replace('\n', " ");
        let typed = flat.split("type `").skip(1).filter_map(|rest| rest.split('`').next());
        for line in typed.filter(|line| !line.is_empty()) {
            Control::parse(line).unwrap_or_else(|error| panic!("{}: type `{line}`: {error}", name(&path)));
            tried += 1;
        }
        let mappings = code(&text).into_iter().filter(|code| {
            let message = code.split_once('=').map_or("", |(message, _)| message);
            ["cc", "key", "pc", "bend", "pressure"].iter().any(|kind| message.starts_with(kind)) && !code.contains(' ')
        });
        for mapping in mappings {
            Assignment::parse(&mapping).unwrap_or_else(|error| panic!("{}: `{mapping}`: {error}", name(&path)));
            tried += 1;
        }
    }
    assert!(tried >= 25, "only {tried} lines were found");
}

#[test]
fn every_link_of_the_guide_leads_somewhere() {
    for (path, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !link.starts_with("http") && !file.is_empty() {
                let target = path.parent().expect("a folder").join(file);
                assert!(target.exists(), "{}: {link} leads nowhere", name(&path));
            }
        }
    }
}

#[test]
fn every_help_ends_with_examples_that_can_be_typed() {
    let mut all = commands();
    all.build();
    let mut asked: Vec<clap::Command> = all.get_subcommands().filter(|one| one.get_name() != "help").cloned().collect();
    assert!(asked.len() >= 14, "only {} commands were found", asked.len());
    asked.push(all);
    for mut command in asked {
        let help = command.render_long_help().to_string();
        let examples = help.split("\nExamples:\n").nth(1).unwrap_or_else(|| panic!("no examples: {help}"));
        assert!(examples.lines().all(|line| line.starts_with("  antiphon ")), "they are the end: {help}");
        for line in examples.lines() {
            let words = words(line.trim());
            let is_own = command.get_name() == "antiphon" || words[1] == command.get_name();
            assert!(is_own, "{line}: it is in the help of {}", command.get_name());
            commands().try_get_matches_from(&words).unwrap_or_else(|error| panic!("`{line}`: {error}"));
        }
    }
}
