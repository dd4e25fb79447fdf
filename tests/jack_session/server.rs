//! A JACK server for one test, on a sound card that does not exist.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Set in the process that runs a test's body: libjack takes the server's name from the environment only.
const SERVER_NAME: &str = "JACK_DEFAULT_SERVER";
const INSIDE: &str = "ANTIPHON_TEST_INSIDE_JACK";

/// Runs `body` against a server of its own: starts the server, then this test program again for the test `name` alone
/// with the server's name in its environment. Leaves the test out, and says so, where it cannot run.
pub fn with_jack_server(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    // Two servers and two daemons on two cores would measure each other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    if Command::new("jackd").arg("--version").stdin(Stdio::null()).output().is_err() {
        return say(&format!("left out: {name}: jackd is not installed (tools/setup.sh --test)"));
    }
    if !crate::daemon::bundled_model().exists() {
        return say(&format!("left out: {name}: there is no models/antiphon.onnx (make train)"));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), &format!("antiphon-{}-{name}", std::process::id()));
    let this_program = std::env::current_exe().expect("this program has a path");
    let inner = Command::new(this_program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env(SERVER_NAME, &server.name)
        .env("JACK_NO_START_SERVER", "1")
        .stdin(Stdio::null())
        .output()
        .expect("this program runs again");
    let out = String::from_utf8_lossy(&inner.stdout);
    let err = String::from_utf8_lossy(&inner.stderr);
    assert!(inner.status.success(), "{out}\n{err}\njackd said:\n{}", server.said());
    assert!(out.contains("1 passed"), "the test {name} was not found:\n{out}");
    for figure in out.lines().filter_map(|line| line.split_once("figure: ")) {
        say(&format!("{name}: {}", figure.1));
    }
}

/// Prints past the test runner's capture, so that it is seen when the test passes.
pub fn say(text: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "jack: {text}");
}

/// Opens a client on the server that `with_jack_server` has started, which may be still on its way up.
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

/// A `jackd` that ends with its owner.
struct Server {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Server {
    fn start(folder: &Path, name: &str) -> Self {
        let log = folder.join("jackd.log");
        let file = File::create(&log).expect("the log can be created");
        // Without the rights, -R leads to error messages and to clients that come up late or not at all.
        let may_run_in_real_time =
            Command::new("chrt").args(["-f", "70", "true"]).output().is_ok_and(|output| output.status.success());
        let scheduling: &[&str] = if may_run_in_real_time { &["-R", "-P", "70"] } else { &["-r"] };
        let child = Command::new("jackd")
            .args(["-n", name])
            .args(scheduling)
            .args(["-S", "-d", "dummy", "-r", "48000", "-p", "64"])
            .env("JACK_NO_AUDIO_RESERVATION", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log"))
            .stderr(file)
            .spawn()
            .expect("jackd starts");
        Self { child, name: name.to_owned(), log }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
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
