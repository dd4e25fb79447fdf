//! What the machine grants: devices, rights, the clock, sound. Read from the files in which Linux tells it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::Finding;
use crate::ports;

/// Sleeps that are measured.
const SLEEPS: usize = 100;

/// A thread that wakes so much later than it wanted at the 99th percentile is heard.
const LATE_WAKE_US: u128 = 2000;

const LIMITS: &str = "`printf '@audio - rtprio 95\\n@audio - memlock unlimited\\n' | sudo tee \
                      /etc/security/limits.d/95-antiphon.conf && sudo usermod -aG audio \"$USER\"`, then log in anew";

/// Where the machine tells how it is; another root in tests.
pub(super) struct Machine {
    root: PathBuf,
}

impl Machine {
    pub(super) fn this() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// Looks at all of it; what this system does not tell is left out.
    pub(super) fn look(&self) -> Vec<Finding> {
        let timing = ports::timing();
        let mut findings = vec![granted(&timing), wakes()];
        if cfg!(target_os = "linux") {
            findings.extend([self.devices(), self.priority(), self.locked_memory()]);
            #[cfg(target_os = "linux")]
            findings.push(rtkit(ports::greatest_priority(), timing == ports::OWN_RIGHT));
            findings.extend(self.clock());
            findings.extend(self.governor());
            findings.push(self.sound());
        }
        findings
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok().map(|text| text.trim().to_owned())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Whether the sequencer may be opened.
    fn devices(&self) -> Finding {
        let sequencer = self.path("dev/snd/seq");
        if !sequencer.exists() {
            return Finding::ok("permissions", "there is no ALSA sequencer that would need any");
        }
        match fs::OpenOptions::new().read(true).write(true).open(&sequencer) {
            Ok(_) => Finding::ok("permissions", "ALSA's sequencer may be used"),
            // Where nothing else is there, the MIDI systems are found wrong.
            Err(why) => Finding::warning(
                "permissions",
                format!("{}: {why}", shown(&sequencer)),
                "`sudo usermod -aG audio \"$USER\"`, then log in anew",
            ),
        }
    }

    /// The soft limit of that name; `None` where it is not told, `Some(None)` for no limit.
    fn limit(&self, name: &str) -> Option<Option<u64>> {
        let limits = self.read("proc/self/limits")?;
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        let soft = line.split_whitespace().next()?;
        if soft == "unlimited" { Some(None) } else { soft.parse().ok().map(Some) }
    }

    fn priority(&self) -> Finding {
        match self.limit("Max realtime priority") {
            Some(None | Some(40..)) => Finding::ok("rtprio", "the player's priority is within your limit"),
            Some(Some(limit)) => {
                Finding::warning("rtprio", format!("your limit is {limit}, 40 is wanted (RLIMIT_RTPRIO)"), LIMITS)
            }
            None => Finding::ok("rtprio", "this system tells no limit"),
        }
    }

    fn locked_memory(&self) -> Finding {
        match self.limit("Max locked memory") {
            Some(Some(bytes)) if bytes < 64 << 20 => {
                let says = format!("{} kB may be locked; JACK's programs want more (RLIMIT_MEMLOCK)", bytes / 1024);
                Finding::warning("memlock", says, LIMITS)
            }
            _ => Finding::ok("memlock", "enough memory may be locked"),
        }
    }

    fn clock(&self) -> Option<Finding> {
        let source = self.read("sys/devices/system/clocksource/clocksource0/current_clocksource")?;
        let slow = ["hpet", "acpi_pm", "jiffies", "refined-jiffies"].contains(&source.as_str());
        let says = format!("the clock is {source}");
        let mend = "start the kernel with `tsc=reliable` (in /etc/default/grub), or see `dmesg | grep -i clocksource`";
        Some(if slow {
            Finding::warning("clock", format!("{says}, a slow one"), mend)
        } else {
            Finding::ok("clock", says)
        })
    }

    fn governor(&self) -> Option<Finding> {
        let governor = self.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")?;
        let says = format!("the processor's governor is {governor}");
        // Of drivers that scale by themselves, `powersave` is the ordinary one.
        let driver = self.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_driver").unwrap_or_default();
        let saves = governor == "powersave" && !["intel_pstate", "amd-pstate-epp"].contains(&driver.as_str());
        let mend = "`sudo cpupower frequency-set -g performance`";
        Some(if saves { Finding::warning("governor", says, mend) } else { Finding::ok("governor", says) })
    }

    fn sound(&self) -> Finding {
        let cards = self.read("proc/asound/cards").unwrap_or_default();
        let names = cards.lines().filter_map(|line| line.split_once("]: ").map(|(_, name)| name.trim().to_owned()));
        match names.collect::<Vec<_>>() {
            none if none.is_empty() => Finding::warning(
                "audio",
                "there is no sound card; MIDI needs none",
                "plug one in; `cat /proc/asound/cards` lists them",
            ),
            names => Finding::ok("audio", names.join(", ")),
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// RealtimeKit, which gives priority to who has no right of their own.
#[cfg(any(test, target_os = "linux"))]
fn rtkit(greatest: Result<u32, String>, has_the_right: bool) -> Finding {
    match greatest {
        Ok(priority) if has_the_right => Finding::ok("rtkit", format!("it gives up to {priority}; it is not needed")),
        Ok(priority) => Finding::ok("rtkit", format!("it gives up to {priority}")),
        Err(why) if has_the_right => Finding::ok("rtkit", format!("it is not there ({why}); it is not needed")),
        Err(why) => Finding::warning(
            "rtkit",
            format!("it gives no real-time priority: {why}"),
            "`sudo apt install rtkit && sudo systemctl enable --now rtkit-daemon`; or have the right of your own (rtprio)",
        ),
    }
}

/// What came of asking for real-time priority.
fn granted(timing: &str) -> Finding {
    match timing.split_once(": ") {
        Some(("ordinary priority", why)) => Finding::warning("real time", format!("ordinary priority: {why}"), LIMITS),
        _ => Finding::ok("real time", timing),
    }
}

/// How late an ordinary thread wakes.
fn wakes() -> Finding {
    let wanted = Duration::from_millis(1);
    let mut late: Vec<u128> = (0..SLEEPS)
        .map(|_| {
            let begun = Instant::now();
            thread::sleep(wanted);
            begun.elapsed().saturating_sub(wanted).as_micros()
        })
        .collect();
    late.sort_unstable();
    let p99 = late[SLEEPS * 99 / 100 - 1];
    let says = format!("a sleeping thread wakes {} us late (p50), {p99} us (p99)", late[SLEEPS / 2]);
    if p99 > LATE_WAKE_US {
        Finding::warning("wake-up", says, "end what else computes here (`top` shows it)")
    } else {
        Finding::ok("wake-up", says)
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        let machine = Machine { root: folder.path().to_owned() };
        (folder, machine)
    }

    const SOURCE: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    const GOVERNOR: &str = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

    #[test]
    fn a_machine_without_rights_says_which_it_lacks_and_how_to_get_them() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\n\
                      Max locked memory         8388608              8388608              bytes     \n\
                      Max realtime priority     0                    0                    \n";
        let files = [
            ("proc/self/limits", limits),
            (SOURCE, "hpet\n"),
            (GOVERNOR, "powersave\n"),
            ("proc/asound/cards", "--- no soundcards ---\n"),
        ];
        let (_folder, machine) = machine(&files);
        let found = [
            machine.priority(),
            machine.locked_memory(),
            machine.clock().expect("told"),
            machine.governor().expect("told"),
            machine.sound(),
        ];
        for finding in &found {
            assert_eq!(finding.state, State::Warning, "{finding:?}");
            assert!(finding.mend.is_some(), "{finding:?}");
        }
        assert!(found[0].says.contains("limit is 0") && found[1].says.contains("8192 kB"), "{found:?}");
    }

    #[test]
    fn a_machine_with_all_rights_is_well() {
        let limits = "Max locked memory         unlimited            unlimited            bytes     \n\
                      Max realtime priority     95                   95                   \n";
        let cards = " 0 [Scarlett       ]: USB-Audio - Scarlett 2i2 USB\n                      Focusrite\n";
        let files = [
            ("proc/self/limits", limits),
            (SOURCE, "tsc\n"),
            (GOVERNOR, "performance\n"),
            ("proc/asound/cards", cards),
            ("dev/snd/seq", ""),
        ];
        let (_folder, machine) = machine(&files);
        let found = [
            machine.priority(),
            machine.locked_memory(),
            machine.clock().expect("told"),
            machine.governor().expect("told"),
            machine.sound(),
            machine.devices(),
        ];
        assert!(found.iter().all(|finding| finding.state == State::Ok), "{found:?}");
        assert_eq!(found[4].says, "USB-Audio - Scarlett 2i2 USB");
    }

    #[test]
    fn realtimekit_is_missed_only_by_who_has_no_right_of_their_own() {
        let away = || Err("The name is not activatable".to_owned());
        assert_eq!([rtkit(away(), true).state, rtkit(Ok(20), false).state], [State::Ok, State::Ok]);
        let missed = rtkit(away(), false);
        assert_eq!(missed.state, State::Warning);
        assert!(missed.says.contains("activatable") && missed.mend.is_some_and(|mend| mend.contains("rtkit-daemon")));
    }

    #[test]
    fn what_was_granted_is_told_as_it_is() {
        assert_eq!(granted("real-time priority").state, State::Ok);
        let refused = granted("ordinary priority: notes may be late");
        assert_eq!(refused.state, State::Warning);
        assert!(refused.mend.is_some_and(|mend| mend.contains("rtprio 95")));
    }
}
