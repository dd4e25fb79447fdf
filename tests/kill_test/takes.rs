//! The files of takes, read by programs of other people.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use midly::{MidiMessage, Smf, TrackEventKind};

/// A folder that daemons record to.
pub struct Folder {
    path: PathBuf,
    take: PathBuf,
}

impl Folder {
    pub fn new(path: PathBuf, take: &str) -> Self {
        Self { take: path.join(take), path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that is kept, by content and kind: takes and session files, under whatever name.
    pub fn contents(&self) -> BTreeMap<(u64, String), PathBuf> {
        let mut contents = BTreeMap::new();
        for entry in fs::read_dir(&self.path).expect("the folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let mut hasher = DefaultHasher::new();
            fs::read(&path).expect("readable").hash(&mut hasher);
            contents.insert((hasher.finish(), ending), path);
        }
        contents
    }

    /// The parts among these, in the order in which they were played.
    pub fn parts<'a>(&self, files: impl Iterator<Item = (&'a (u64, String), &'a PathBuf)>) -> Vec<PathBuf> {
        let mut parts: Vec<PathBuf> =
            files.filter(|((_, ending), _)| ending == "mid").map(|(_, path)| path.clone()).collect();
        // The one that is played has the plain name.
        parts.sort_by_key(|path| (*path == self.take, path.clone()));
        parts
    }
}

/// All takes below a folder, the simulated player's file left out.
pub fn all_files(root: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    let folders = entries(root).into_iter().filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| entries(&folder));
    files.filter(|path| path.extension().is_some_and(|ending| ending == "mid")).collect()
}

/// What is in the parts of one take, as midly reads it.
#[derive(Default)]
pub struct Take {
    /// How often each message is there, of the human and of the answer.
    messages: [BTreeMap<Vec<u8>, usize>; 2],
    unbalanced: usize,
}

impl Take {
    /// Reads a part.
    pub fn read(&mut self, path: &Path) -> Result<(), String> {
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let file = Smf::parse(&bytes).map_err(|error| error.to_string())?;
        let [_, human, answer] = &file.tracks[..] else { return Err(format!("{} tracks", file.tracks.len())) };
        for (messages, track) in self.messages.iter_mut().zip([human, answer]) {
            let mut owed = BTreeMap::<_, i64>::new();
            for event in track {
                let message = match event.kind {
                    TrackEventKind::Midi { channel, message } => {
                        match message {
                            MidiMessage::NoteOn { key, vel } if vel > 0 => {
                                *owed.entry((channel, key)).or_default() += 1
                            }
                            MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                                *owed.entry((channel, key)).or_default() -= 1;
                            }
                            _ => {}
                        }
                        let mut bytes = Vec::new();
                        let live = midly::live::LiveEvent::Midi { channel, message };
                        live.write(&mut bytes).expect("to memory");
                        bytes
                    }
                    TrackEventKind::SysEx(content) => [&[0xf0], content].concat(),
                    _ => continue,
                };
                *messages.entry(message).or_default() += 1;
            }
            self.unbalanced += owed.values().filter(|owed| **owed > 0).count();
        }
        Ok(())
    }

    /// How often a message is there.
    pub fn count(&self, voice: usize, message: &[u8]) -> usize {
        self.messages[voice].get(message).copied().unwrap_or(0)
    }

    /// Messages in all.
    pub fn len(&self) -> usize {
        self.messages.iter().flat_map(BTreeMap::values).sum()
    }

    /// Notes that no part ends.
    pub fn unbalanced(&self) -> usize {
        self.unbalanced
    }
}

/// What midicsv refuses; none where it is not installed.
pub fn midicsv(files: &[PathBuf]) -> Option<Vec<String>> {
    let mut refused = Vec::new();
    for path in files {
        let Ok(output) = Command::new("midicsv").arg(path).output() else {
            eprintln!("kill test: left out: midicsv is not installed (tools/setup.sh --test)");
            return None;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !output.stderr.is_empty() || !text.trim_end().ends_with("End_of_file") {
            refused.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&output.stderr)));
        }
    }
    Some(refused)
}

/// Reads every file strictly, and prints those that it cannot.
const READ_BY_MIDO: &str = "
import sys, mido
for path in sys.stdin.read().split('\\0')[:-1]:
    try:
        file = mido.MidiFile(path, charset='utf-8')
        assert file.type == 1 and len(file.tracks) == 3 and file.length >= 0
        for track in file.tracks:
            for message in track:
                str(message)
    except Exception as why:
        print(path, repr(why))
";

/// What mido refuses; none where no Python is named that has it.
pub fn mido(files: &[PathBuf]) -> Option<Vec<String>> {
    use std::io::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let python = std::env::var_os("ANTIPHON_MIDO")?;
    let mut child = Command::new(python)
        .args(["-c", READ_BY_MIDO])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the Python that ANTIPHON_MIDO names");
    let mut names = child.stdin.take().expect("piped");
    for path in files {
        names.write_all(path.as_os_str().as_bytes()).and_then(|()| names.write_all(b"\0")).expect("read");
    }
    drop(names);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "mido could not be asked");
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
