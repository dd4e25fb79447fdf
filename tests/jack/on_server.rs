//! Tests on a JACK server of their own.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::server::{self, Server};

/// Set in the process that runs a test's body.
const INSIDE: &str = "ANTIPHON_TEST_INSIDE_JACK";

/// Runs `body` against a server of its own: starts the server, then this test program again for the test `name` alone
/// with the server's name in its environment. Leaves the test out, and says so, where it cannot run.
pub fn with_jack_server(name: &str, body: impl FnOnce()) {
    in_a_process_of_its_own(name, body, server::is_installed, |folder| {
        let server = Server::start(folder, name);
        (server.this_program(), Some(server))
    });
}

/// The same with the name of a server of its own only: `body` starts and stops it.
#[allow(dead_code, reason = "not everybody restarts it")]
pub fn with_jack_servers_name(name: &str, body: impl FnOnce()) {
    let unstarted = |_: &Path| (server::this_program_with(&server::own_name(name)), None);
    in_a_process_of_its_own(name, body, server::is_installed, unstarted);
}

/// The same with PipeWire's JACK library, and a place for a PipeWire of its own: `body` starts and stops it.
#[allow(dead_code, reason = "not everybody restarts it")]
pub fn with_pipewire(name: &str, body: impl FnOnce()) {
    let unstarted = |folder: &Path| (server::this_program_on_pipewire(folder), None);
    in_a_process_of_its_own(name, body, server::pipewire_is_installed, unstarted);
}

/// `prepare` gets a folder, and gives this program once more and the server that it uses, if it runs already.
fn in_a_process_of_its_own(
    name: &str,
    body: impl FnOnce(),
    is_installed: impl FnOnce() -> Result<(), &'static str>,
    prepare: impl FnOnce(&Path) -> (Command, Option<Server>),
) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    // Two servers and two daemons on two cores would measure each other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    if let Err(missing) = is_installed() {
        return say(&format!("left out: {name}: {missing}"));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut inner, server) = prepare(folder.path());
    let inner = inner
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("this program runs again");
    let out = String::from_utf8_lossy(&inner.stdout);
    let err = String::from_utf8_lossy(&inner.stderr);
    assert!(
        inner.status.success(),
        "{out}\n{err}\njackd said:\n{}",
        server.map(|server| server.said()).unwrap_or_default()
    );
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
