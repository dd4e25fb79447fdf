//! A JACK server of our own, on a sound card that does not exist.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// libjack takes the server's name from the environment only, so who uses a server is a process of its own.
const SERVER_NAME: &str = "JACK_DEFAULT_SERVER";

/// Whether a server can be started here; else what is missing.
pub fn is_installed() -> Result<(), &'static str> {
    runs("jackd").then_some(()).ok_or("jackd is not installed (tools/setup.sh --test)")
}

/// The same for PipeWire, which stands in for JACK by a library of its own.
#[allow(dead_code, reason = "not everybody uses it")]
pub fn pipewire_is_installed() -> Result<(), &'static str> {
    let missing = "PipeWire and its JACK are not installed (packages pipewire and pipewire-jack)";
    (runs("pipewire") && Command::new("pw-jack").arg("-h").output().is_ok()).then_some(()).ok_or(missing)
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").stdin(Stdio::null()).output().is_ok()
}

/// Opens a client on the server that this process uses, which may be still on its way up.
pub fn open_client(name: &str) -> jack::Client {
    jack::set_logger(jack::LoggerType::None);
    let begun = Instant::now();
    loop {
        match jack::Client::new(name, jack::ClientOptions::NO_START_SERVER) {
            Ok((client, _)) => return client,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(15), "no JACK client could be opened: {error}"),
        }
        sleep(Duration::from_millis(50));
    }
}

/// A name that no other server has.
pub fn own_name(purpose: &str) -> String {
    format!("antiphon-{}-{purpose}", std::process::id())
}

/// This program once more, using the server of that name, whether it is there or not.
pub fn this_program_with(name: &str) -> Command {
    let mut again = Command::new(std::env::current_exe().expect("this program has a path"));
    again.env(SERVER_NAME, name).env("JACK_NO_START_SERVER", "1").stdin(Stdio::null());
    again
}

/// This program once more on PipeWire's JACK library, for a PipeWire that has its socket in `folder`.
#[allow(dead_code, reason = "not everybody uses it")]
pub fn this_program_on_pipewire(folder: &Path) -> Command {
    let mut again = Command::new("pw-jack");
    again.arg(std::env::current_exe().expect("this program has a path"));
    again.env("PIPEWIRE_RUNTIME_DIR", folder).stdin(Stdio::null());
    again
}

/// A `jackd`, or a `pipewire`, that ends with its owner.
pub struct Server {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Server {
    /// Starts it; what it says is kept in `folder`. `purpose` becomes a part of its name.
    pub fn start(folder: &Path, purpose: &str) -> Self {
        Self::start_as(folder, own_name(purpose), [48_000, 64], &["-S"])
    }

    /// Starts it under the name of the server that this process uses, with this rate and frames a period.
    #[allow(dead_code, reason = "not everybody restarts it")]
    pub fn start_here(folder: &Path, sound: [u32; 2]) -> Self {
        Self::start_as(folder, std::env::var(SERVER_NAME).expect("run inside"), sound, &["-S"])
    }

    /// The same as JACK comes: it does not wait for clients that are late, and what was in the period is lost to them.
    #[allow(dead_code, reason = "not everybody is late")]
    pub fn start_here_without_patience(folder: &Path, sound: [u32; 2]) -> Self {
        Self::start_as(folder, std::env::var(SERVER_NAME).expect("run inside"), sound, &[])
    }

    fn start_as(folder: &Path, name: String, [rate, period]: [u32; 2], patience: &[&str]) -> Self {
        let log = folder.join("jackd.log");
        let file = File::create(&log).expect("the log can be created");
        // Without the rights, -R leads to error messages and to clients that come up late or not at all.
        let may_run_in_real_time =
            Command::new("chrt").args(["-f", "70", "true"]).output().is_ok_and(|output| output.status.success());
        let scheduling: &[&str] = if may_run_in_real_time { &["-R", "-P", "70"] } else { &["-r"] };
        let child = Command::new("jackd")
            .args(["-n", &name])
            .args(scheduling)
            .args(patience)
            .args(["-d", "dummy", "-r", &rate.to_string(), "-p", &period.to_string()])
            .env("JACK_NO_AUDIO_RESERVATION", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log"))
            .stderr(file)
            .spawn()
            .expect("jackd starts");
        Self { child, name, log }
    }

    /// Starts PipeWire where this process looks for it. It has no sound card either, and needs no session manager.
    #[allow(dead_code, reason = "not everybody uses it")]
    pub fn pipewire(folder: &Path) -> Self {
        let log = folder.join("pipewire.log");
        let file = File::create(&log).expect("the log can be created");
        let child = Command::new("pipewire")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log"))
            .stderr(file)
            .spawn()
            .expect("pipewire starts");
        Self { child, name: String::new(), log }
    }

    /// This program once more, with this server as the one that it uses.
    pub fn this_program(&self) -> Command {
        this_program_with(&self.name)
    }

    /// Ends it with this signal, and waits until it has ended.
    #[allow(dead_code, reason = "not everybody restarts it")]
    pub fn stop(mut self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let _ = self.child.wait();
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // Asked first, so that it takes its shared memory away; then made to.
        let _ = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
