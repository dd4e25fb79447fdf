//! The built `antiphon jam`, as a child process that does not outlive its test.
#![allow(dead_code, reason = "each test and benchmark uses a part of it")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The model that is part of the repository.
pub fn bundled_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/antiphon.onnx")
}

/// A running `antiphon jam`; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `antiphon jam` with the bundled model in `folder`, and keeps what it says in `folder/daemon.log`.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_in(folder, arguments, &[])
    }

    /// The same with more in its environment.
    pub fn start_in(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_on("embedded", folder, arguments, environment)
    }

    /// The same with another engine, as `--engine` names it.
    pub fn start_on(engine: &str, folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = folder.join("daemon.log");
        let file = File::create(&log).expect("the log can be created");
        let child = Command::new(env!("CARGO_BIN_EXE_antiphon"))
            .args(["jam", "--engine", engine, "--model"])
            .arg(bundled_model())
            .args(arguments)
            .current_dir(folder)
            .env("ANTIPHON_CONFIG", "none")
            // Whatever it leaves for others of its name goes with the folder.
            .env("XDG_RUNTIME_DIR", folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle of the log"))
            .stderr(file)
            .spawn()
            .expect("antiphon starts");
        Self { child, log }
    }

    /// Waits for the line `ready: ...`, after which the ports are open.
    pub fn wait_until_ready(&mut self, limit: Duration) {
        let begun = Instant::now();
        while !self.said().lines().any(|line| line.starts_with("ready:")) {
            self.expect_alive();
            assert!(begun.elapsed() < limit, "antiphon was not ready within {limit:?}; it said:\n{}", self.said());
            sleep(Duration::from_millis(20));
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    #[allow(dead_code, reason = "not everybody waits for that")]
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child can be waited for")
    }

    /// Fails if it has ended by itself.
    pub fn expect_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!("antiphon ended by itself ({status}); it said:\n{}", self.said());
        }
    }

    /// Sends a signal, `INT` or `TERM` or another that `kill` knows.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.child.id())).status();
        assert!(sent.is_ok_and(|status| status.success()), "the signal {name} could not be sent");
    }

    /// Sends the signal and waits for the end. Gives back how it ended and all that it said.
    pub fn stop(self, signal: &str, limit: Duration) -> (ExitStatus, String) {
        self.signal(signal);
        self.wait(limit)
    }

    /// Waits for the end. Gives back how it ended and all that it said.
    pub fn wait(mut self, limit: Duration) -> (ExitStatus, String) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return (status, self.said());
            }
            assert!(begun.elapsed() < limit, "antiphon did not end within {limit:?}; it said:\n{}", self.said());
            sleep(Duration::from_millis(5));
        }
    }

    /// Resident memory in MB (10^6 bytes), as Linux tells it; zero elsewhere.
    pub fn resident_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse::<f64>().ok()
        };
        let own = ["RssAnon:", "RssFile:"].into_iter().filter_map(kilobytes).sum::<f64>();
        own * 1024.0 / 1e6
    }

    /// All that it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as it should be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
