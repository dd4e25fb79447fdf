//! Bad files through the built command: what is sound is learnt from, the rest is named with one line each.

#[path = "../../../tests/hostile/guarded.rs"]
mod guarded;
#[path = "../../../tests/hostile/midi.rs"]
#[expect(dead_code, reason = "the trainer needs no model")]
mod midi;

use std::fs;

use midi::Fate;

#[test]
fn a_folder_of_bad_files_is_read_and_each_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = midi::write(&folder.path().join("songs/made"));
    let collected = folder.path().join("songs/collected");
    fs::create_dir_all(&collected).expect("a folder");
    let collected: Vec<_> = midi::collected(env!("CARGO_MANIFEST_DIR"))
        .into_iter()
        .map(|(path, fate)| {
            let copy = collected.join(guarded::name(&path));
            fs::copy(&path, &copy).expect("copied");
            (copy, fate)
        })
        .collect();
    for flags in [&["encode", "songs", "--out", "notes"][..], &["encode", "songs", "--out", "again"]] {
        let outcome = guarded::run(env!("CARGO_BIN_EXE_antiphon-train"), folder.path(), flags);
        assert_eq!(outcome.code, 0, "{} {}", outcome.printed, outcome.said);
        for (path, fate) in made.iter().chain(&collected) {
            let named = format!("rejected: {} ", path.strip_prefix(folder.path()).expect("inside").display());
            let rejected: Vec<&str> = outcome.printed.lines().filter(|line| line.contains(&named)).collect();
            match fate {
                Fate::Read => assert!(rejected.is_empty(), "{rejected:?}"),
                Fate::Refused => assert_eq!(rejected.len(), 1, "{}: {}", path.display(), outcome.printed),
                Fate::Either => assert!(rejected.len() <= 1, "{rejected:?}"),
            }
        }
    }
    let [first, second] = ["notes", "again"].map(|name| fs::read(folder.path().join(name)).expect("encoded"));
    assert!(first == second, "from the cache the same");
}
