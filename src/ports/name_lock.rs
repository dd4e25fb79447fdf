//! One Antiphon for each name: a file in the user's runtime folder, locked while its ports are open.
//!
//! The system takes the lock away when the process ends, however it ends; the file itself stays, so that nobody ever
//! holds a lock on a file that another one does not see any more. It says who holds it and where its page is.

use std::fs::{File, OpenOptions, TryLockError, read_dir};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Backend, PortError, PortName};

/// A name that is taken is asked for again so often and so soon: its holder may have been killed a moment ago, or somebody
/// only asked who holds it, for which the file is locked, too.
const TRIES: u32 = 25;
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The right to open ports of a name, on one MIDI system. Given back when it is dropped.
pub struct NameLock {
    file: io::Result<File>,
    path: PathBuf,
}

/// Who holds a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The number of its process.
    pub process: Option<u32>,
    /// Where its page is.
    pub page: Option<String>,
}

impl NameLock {
    /// Takes the name on a MIDI system. Where the file cannot be had, it goes on without; [`NameLock::unguarded`] says so.
    ///
    /// # Errors
    /// When another process holds it.
    pub(super) fn take(name: &PortName, system: &System) -> Result<Self, PortError> {
        Self::take_in(&runtime_folder(), name, system)
    }

    fn take_in(folder: &Path, name: &PortName, system: &System) -> Result<Self, PortError> {
        let path = folder.join(format!("{}{}.lock", beginning(name), escaped(&system.key)));
        patiently(|| {
            let file = match open(&path) {
                Ok(file) => file,
                Err(why) => return Ok(Self { file: Err(why), path: path.clone() }),
            };
            match file.try_lock() {
                Ok(()) => {
                    let lock = Self { file: Ok(file), path: path.clone() };
                    lock.write(None);
                    Ok(lock)
                }
                Err(TryLockError::Error(why)) => Ok(Self { file: Err(why), path: path.clone() }),
                Err(TryLockError::WouldBlock) => {
                    let process = read(&file).process;
                    let holder = process.map_or("another process".to_owned(), |process| format!("process {process}"));
                    Err(PortError::NameTaken { holder, name: name.clone(), system: system.name })
                }
            }
        })
    }

    /// Why nobody is kept from taking the same name, in words; `None` where all is well.
    pub fn unguarded(&self) -> Option<String> {
        self.file.as_ref().err().map(|why| format!("{}: {why}", self.path.display()))
    }

    /// Tells those who look for the name where its page is.
    pub fn tell_page(&self, page: &str) {
        self.write(Some(page));
    }

    /// Best effort: without it a name is only held by nobody in particular.
    fn write(&self, page: Option<&str>) {
        let Ok(mut file) = self.file.as_ref() else { return };
        let text = format!("{}\n{}\n", std::process::id(), page.unwrap_or_default());
        let _ = file.rewind().and_then(|()| file.write_all(text.as_bytes())).and_then(|()| file.set_len(size(&text)));
    }
}

/// Tries to take a name, for a while.
pub(super) fn patiently<T>(mut take: impl FnMut() -> Result<T, PortError>) -> Result<T, PortError> {
    for _ in 0..TRIES {
        match take() {
            Err(PortError::NameTaken { .. }) => thread::sleep(AGAIN_AFTER),
            done => return done,
        }
    }
    take()
}

fn size(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

/// All who hold the name now, on whatever MIDI system.
pub fn holders(name: &PortName) -> Vec<Holder> {
    holders_in(&runtime_folder(), name)
}

fn holders_in(folder: &Path, name: &PortName) -> Vec<Holder> {
    let beginning = beginning(name);
    let files = read_dir(folder).into_iter().flatten().flatten();
    let paths = files.filter(|file| file.file_name().to_string_lossy().starts_with(&beginning)).map(|file| file.path());
    let held = paths.filter_map(|path| {
        let file = File::open(path).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| read(&file))
    });
    held.collect()
}

/// What the file says. It may be about to be written.
fn read(mut file: &File) -> Holder {
    let mut text = String::new();
    // Never longer than a line or two; whatever else it is, is nothing that we wrote.
    let _ = file.rewind().and_then(|()| file.take(4096).read_to_string(&mut text));
    let mut lines = text.lines();
    let process = lines.next().and_then(|line| line.parse().ok());
    Holder { process, page: lines.next().filter(|line| !line.is_empty()).map(str::to_owned) }
}

/// Where a name is to be the only one of its kind.
pub(super) struct System {
    /// In words.
    name: &'static str,
    /// Apart from all others.
    key: String,
}

impl System {
    /// `None` where there are no ports.
    pub fn of(backend: Backend, name: &'static str) -> Option<Self> {
        let key = match backend {
            Backend::System => "system".to_owned(),
            // Each server of JACK's has its own names.
            Backend::Jack => {
                format!("jack-{}", std::env::var("JACK_DEFAULT_SERVER").unwrap_or_else(|_| "default".to_owned()))
            }
            Backend::Auto | Backend::None => return None,
        };
        Some(Self { name, key })
    }
}

/// The user's folder for what lives as long as a login; else the one for what is temporary.
fn runtime_folder() -> PathBuf {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    named.filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Not emptied: who holds it stands in it.
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // The folder may be everybody's: nobody's link is followed.
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    options.open(path)
}

/// How the files of a name begin. No two names have the same beginning.
fn beginning(name: &PortName) -> String {
    format!("antiphon.{}.", escaped(name.client()))
}

/// Only letters, digits, `-` and `_`; what else there is, as the bytes' numbers.
fn escaped(text: &str) -> String {
    let escaped = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
    text.bytes().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(key: &str) -> System {
        System { name: "JACK", key: key.to_owned() }
    }

    fn name(text: &str) -> PortName {
        text.parse().expect("a name")
    }

    #[test]
    fn a_name_is_held_by_one_and_free_again_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let take = |text: &str, key: &str| NameLock::take_in(folder.path(), &name(text), &system(key));
        let first = take("Antiphon", "jack-default").expect("free");
        assert_eq!(first.unguarded(), None);
        let refused = take("Antiphon", "jack-default").err().expect("taken").to_string();
        let holder = format!("process {}", std::process::id());
        assert!(refused.starts_with(&holder) && refused.contains("--name other"), "{refused}");
        let others = [take("Antiphon", "jack-studio"), take("Antiphon 2", "jack-default"), take("../a/b", "system")];
        assert!(others.iter().all(|other| other.as_ref().is_ok_and(|lock| lock.unguarded().is_none())));
        drop(first);
        take("Antiphon", "jack-default").expect("free again");
    }

    #[test]
    fn what_a_killed_process_left_behind_holds_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let left = folder.path().join("antiphon.Antiphon.system.lock");
        std::fs::write(&left, "4194304000\nhttp://127.0.0.1:7272\nand much more\n").expect("written");
        assert_eq!(holders_in(folder.path(), &name("Antiphon")), []);
        let lock = NameLock::take_in(folder.path(), &name("Antiphon"), &system("system")).expect("free");
        let process = Some(std::process::id());
        assert_eq!(holders_in(folder.path(), &name("Antiphon")), [Holder { process, page: None }]);
        lock.tell_page("http://127.0.0.1:7300");
        let page = Some("http://127.0.0.1:7300".to_owned());
        assert_eq!(holders_in(folder.path(), &name("Antiphon")), [Holder { process, page }]);
        assert_eq!(holders_in(folder.path(), &name("Anti")), [], "not by a part of the name");
        assert_eq!(std::fs::read_to_string(&left).expect("there").lines().count(), 2, "nothing of before is left");
    }

    #[test]
    fn whoever_asks_at_the_wrong_moment_keeps_nobody_from_the_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("antiphon.Antiphon.system.lock");
        let asking = open(&path).expect("made");
        asking.lock_shared().expect("locked");
        let asks = thread::spawn(move || {
            thread::sleep(AGAIN_AFTER / 2);
            drop(asking);
        });
        NameLock::take_in(folder.path(), &name("Antiphon"), &system("system")).expect("free");
        asks.join().expect("no panic");
    }

    #[test]
    fn without_a_folder_it_plays_all_the_same_and_says_so() {
        let lock = NameLock::take_in(Path::new("/no/such/folder"), &name("Antiphon"), &system("system"));
        let unguarded = lock.expect("the music is worth more").unguarded().expect("it says so");
        assert!(unguarded.starts_with("/no/such/folder/antiphon.Antiphon.system.lock: "), "{unguarded}");
    }
}
