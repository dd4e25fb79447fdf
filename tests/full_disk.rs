//! A disk that is full while the built daemon records: it is said once, the music goes on, the take on the disk stays whole
//! and is written on when there is room again.
#![cfg(target_os = "linux")]

mod daemon;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use antiphon::midi_file::read_notes;
use daemon::Daemon;

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file system of its own in memory, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it; `None`, said in a sentence, where this user may not.
    fn mount(at: &Path) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=96k", "antiphon-test"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("full disk: left out: this user may not mount a small disk");
        None
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let filling = fs::OpenOptions::new().create(true).append(true).open(self.0.join("filling"));
        // An error is what ends it: there is no room for one more.
        let mut filling = filling.expect("a file that is there or takes no room");
        while filling.write_all(&[0; 1024]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filling")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn wait_for(what: &str, daemon: &Daemon, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}; it said:\n{}", daemon.said());
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_full_disk_is_said_once_and_all_that_was_played_is_written_when_there_is_room_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = folder.path().join("small");
    fs::create_dir(&small).expect("a folder");
    let Some(disk) = SmallDisk::mount(&small) else { return };
    let take = small.join("take.mid");
    let mut daemon = Daemon::start(
        folder.path(),
        &["--backend", "none", "--headless", "--seed", "7", "--no-http", "--json", "--out", "small/take.mid"],
    );
    daemon.wait_until_ready(PATIENCE);
    let notes = || read_notes(&take).expect("the take is whole at any moment").len();
    wait_for("four notes on the disk", &daemon, || notes() >= 4);

    let told = |daemon: &Daemon| daemon.said().matches("No space left on device").count();
    // Again and again, because each file that takes the place of another leaves the room of that one.
    wait_for("that the disk is full", &daemon, || {
        disk.fill();
        told(&daemon) > 0
    });
    let played = |daemon: &Daemon| daemon.said().matches("\"ai_on\"").count();
    let before = played(&daemon);
    wait_for("twenty notes more", &daemon, || {
        disk.fill();
        // It is read each time: the take is whole.
        notes() < before && played(&daemon) >= before + 20
    });
    daemon.expect_alive();

    let on_the_full_disk = notes();
    disk.empty();
    wait_for("more notes on the disk", &daemon, || notes() >= on_the_full_disk + 20);
    wait_for("that it is written again", &daemon, || daemon.said().contains("is written again"));
    let played_in_all = played(&daemon);
    let (status, said) = daemon.stop("TERM", PATIENCE);
    assert!(status.success(), "{said}");
    assert!(notes() >= played_in_all, "{} of {played_in_all} notes: {said}", notes());
    // As a sentence and as a JSON line, each once.
    assert_eq!(said.matches("No space left on device").count(), 2, "{said}");
}

#[test]
fn a_take_that_finds_no_room_to_the_end_is_whole_as_far_as_it_goes_and_all_of_it_is_kept_elsewhere() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = folder.path().join("small");
    fs::create_dir(&small).expect("a folder");
    let Some(disk) = SmallDisk::mount(&small) else { return };
    // A name that no other test has in the folder for temporary files.
    let name = format!("full-disk-{}.mid", std::process::id());
    let take = small.join(&name);
    let out = take.to_str().expect("plain");
    let mut daemon =
        Daemon::start(folder.path(), &["--backend", "none", "--headless", "--seed", "7", "--no-http", "--out", out]);
    daemon.wait_until_ready(PATIENCE);
    wait_for("notes on the disk", &daemon, || !read_notes(&take).expect("whole").is_empty());
    wait_for("that the disk is full", &daemon, || {
        disk.fill();
        let told = daemon.said().contains("No space left on device");
        // And the take has no room either.
        told && fs::write(small.join("one more"), [0; 8192]).is_err()
    });
    let on_the_disk = read_notes(&take).expect("whole").len();
    let (status, said) = daemon.stop("INT", PATIENCE);
    assert_eq!(status.code(), Some(6), "{said}");
    assert_eq!(read_notes(&take).expect("whole").len(), on_the_disk);
    let kept = std::env::temp_dir().join(&name);
    assert!(said.contains(&format!("the take is in {}", kept.display())), "{said}");
    assert!(read_notes(&kept).expect("whole").len() > on_the_disk);
    fs::remove_file(kept).expect("it is there");
}

#[test]
fn a_disk_that_is_full_from_the_beginning_is_one_sentence_and_a_code_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let small = folder.path().join("small");
    fs::create_dir(&small).expect("a folder");
    let Some(disk) = SmallDisk::mount(&small) else { return };
    disk.fill();
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["jam", "--engine", "embedded", "--backend", "none", "--headless", "--no-http", "--seconds", "1"])
        .args(["--config", "none", "--out", "small/take.mid", "--model"])
        .arg(daemon::bundled_model())
        .current_dir(folder.path())
        .output()
        .expect("antiphon runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    let sentences: Vec<_> = said.lines().filter(|line| line.contains("No space left on device")).collect();
    assert!(matches!(sentences[..], [one] if one.contains("small/take.mid") && one.contains("--out")), "{said}");
}
