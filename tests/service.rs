//! The built daemon under a service manager: when it is ready, that it is alive, and that a thread that hangs is noticed.
#![cfg(target_os = "linux")]

mod daemon;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use daemon::Daemon;
use tempfile::TempDir;

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how many microseconds without food the watchdog would bite.
const BITES_AFTER: &str = "300000";

/// A service manager's end of the line, and the daemon that it has started.
struct Service {
    line: UnixDatagram,
    daemon: Daemon,
    _folder: TempDir,
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let line = UnixDatagram::bind(&path).expect("a socket");
        let environment =
            [("NOTIFY_SOCKET", path.to_str().expect("text")), ("WATCHDOG_USEC", BITES_AFTER), ("WATCHDOG_PID", "")];
        let flags = ["--backend", "none", "--headless", "--no-http", "--seed", "7"];
        Self { line, daemon: Daemon::start_in(folder.path(), &flags, &environment), _folder: folder }
    }

    /// What the manager is told next; `None` when it is told nothing for so long.
    fn next(&self, within: Duration) -> Option<String> {
        self.line.set_read_timeout(Some(within)).expect("a limit");
        let mut bytes = [0; 4096];
        match self.line.recv(&mut bytes) {
            Ok(length) => Some(String::from_utf8_lossy(&bytes[..length]).trim_end().to_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("the socket: {error}"),
        }
    }

    /// Waits until the manager is told that. Gives back all that it was told until then.
    fn is_told(&mut self, wanted: &str) -> Vec<String> {
        let begun = Instant::now();
        let mut told = Vec::new();
        loop {
            self.daemon.expect_alive();
            told.extend(self.next(Duration::from_millis(200)));
            if told.last().is_some_and(|last| last.starts_with(wanted)) {
                return told;
            }
            assert!(begun.elapsed() < PATIENCE, "{wanted:?} was never told; but: {told:?}\n{}", self.daemon.said());
        }
    }
}

#[test]
fn the_manager_is_told_when_it_is_ready_how_it_goes_that_it_reads_anew_and_that_it_ends() {
    let mut service = Service::start();
    let told = service.is_told("READY=1");
    assert_eq!(told, ["READY=1"], "nothing comes before it");
    assert!(service.daemon.said().lines().any(|line| line.starts_with("ready:")), "{}", service.daemon.said());
    service.is_told("WATCHDOG=1");
    service.is_told("STATUS=");
    service.is_told("WATCHDOG=1");
    service.daemon.signal("HUP");
    let told = service.is_told("RELOADING=1\nMONOTONIC_USEC=");
    assert!(!told.contains(&"READY=1".to_owned()), "{told:?}");
    service.is_told("READY=1");
    service.is_told("WATCHDOG=1");
    let Service { line, daemon, _folder } = service;
    let (status, said) = daemon.stop("TERM", PATIENCE);
    assert!(status.success(), "it ended with {status} and said:\n{said}");
    line.set_nonblocking(true).expect("it can be");
    let mut bytes = [0; 4096];
    let mut last = String::new();
    while let Ok(length) = line.recv(&mut bytes) {
        last = String::from_utf8_lossy(&bytes[..length]).into_owned();
    }
    assert!(last.starts_with("STOPPING=1\n"), "the last word: {last:?}");
}

/// One thread of another process, held still.
struct Hold {
    thread: i32,
}

#[expect(unsafe_code, reason = "only the system can hold a single thread of another process")]
impl Hold {
    /// Holds the thread of that name; `None` where the system does not let us.
    fn of(process: u32, name: &str) -> Option<Self> {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it is there");
        let is_it = |path: &std::path::Path| fs::read_to_string(path.join("comm")).is_ok_and(|own| own.trim() == name);
        let task = tasks.map(|task| task.expect("readable").path()).find(|path| is_it(path));
        let task = task.unwrap_or_else(|| panic!("there is no thread {name}"));
        let number = task.file_name().expect("a number").to_string_lossy().into_owned();
        let thread: i32 = number.parse().expect("a number");
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: both requests take numbers alone and read or write no memory of ours; the third argument is unused.
        let held = unsafe {
            libc::ptrace(libc::PTRACE_SEIZE, thread, nothing, nothing) == 0
                && libc::ptrace(libc::PTRACE_INTERRUPT, thread, nothing, nothing) == 0
        };
        if !held {
            println!("left out: this system lets nobody hold a thread: {}", std::io::Error::last_os_error());
            return None;
        }
        let mut status = 0;
        // SAFETY: it writes the status to a number of ours that outlives the call.
        let waited = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        assert_eq!(waited, thread, "it is held now");
        Some(Self { thread })
    }
}

impl Drop for Hold {
    #[expect(unsafe_code, reason = "see above")]
    fn drop(&mut self) {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.thread, nothing, nothing) };
    }
}

#[test]
fn the_watchdog_goes_hungry_while_a_thread_hangs_and_is_fed_again_when_it_goes_on() {
    let mut service = Service::start();
    service.is_told("READY=1");
    for name in ["conductor", "player", "recorder"] {
        service.is_told("WATCHDOG=1");
        let Some(hold) = Hold::of(service.daemon.id(), name) else { return };
        service.is_told(&format!("STATUS=no life for 2 s: {name}"));
        // Fifteen times as long as it waits between two.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1500) {
            let told = service.next(Duration::from_millis(500)).unwrap_or_default();
            assert!(!told.contains("WATCHDOG=1"), "{name} hangs, and the watchdog was fed");
        }
        drop(hold);
        service.is_told("WATCHDOG=1");
        assert!(service.daemon.said().contains(&format!("no life for 2 s: {name}")), "{}", service.daemon.said());
    }
    let (status, said) = service.daemon.stop("TERM", PATIENCE);
    assert!(status.success(), "it ended with {status} and said:\n{said}");
    assert_eq!(said.matches("every thread is alive again").count(), 3, "{said}");
}

/// Runs `systemd-analyze`; `None`, and says so, where there is none.
fn systemd_analyze(arguments: &[&str]) -> Option<std::process::Output> {
    let output = std::process::Command::new("systemd-analyze").args(arguments).output();
    if output.is_err() {
        println!("left out: systemd-analyze is not installed");
    }
    output.ok()
}

/// The unit with the built program in the place of the installed one, and the flags that it gives to it.
fn unit(of: &str, installed: &str) -> (String, Vec<String>) {
    let path = format!("{}/assets/systemd/{of}/antiphon.service", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("it is there");
    let start = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    let mut words = start.split(' ').map(str::to_owned);
    assert_eq!(words.next().as_deref(), Some(installed));
    let flags = words.collect();
    (text.replace(installed, env!("CARGO_BIN_EXE_antiphon")), flags)
}

#[test]
fn the_units_start_antiphon_with_flags_that_it_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("antiphon.toml"), "").expect("written");
    for (of, installed) in [("user", "%h/.local/bin/antiphon"), ("system", "/usr/local/bin/antiphon")] {
        let (_, flags) = unit(of, installed);
        let flags = flags.iter().map(|flag| if flag == "/etc/antiphon.toml" { "antiphon.toml" } else { flag });
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_antiphon"));
        let output =
            command.args(flags).arg("--check").current_dir(folder.path()).env("ANTIPHON_CONFIG", "none").output();
        let output = output.expect("it runs");
        assert!(output.status.success(), "{of}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_system_unit_is_sound_and_well_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("antiphon.service");
    fs::write(&path, unit("system", "/usr/local/bin/antiphon").0).expect("written");
    let path = path.to_str().expect("text");
    let Some(verified) = systemd_analyze(&["verify", "--man=no", path]) else { return };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    // What is said of other units is theirs.
    assert!(!said.lines().any(|line| line.contains("antiphon")), "{said}");
    let Some(judged) = systemd_analyze(&["security", "--offline=true", "--threshold=20", path]) else { return };
    let said = String::from_utf8_lossy(&judged.stderr).into_owned();
    // Before version 250 it judges running services alone.
    if !said.contains("unrecognized option") {
        assert!(judged.status.success(), "{said}{}", String::from_utf8_lossy(&judged.stdout));
    }
}
