//! The MIDI systems: the operating system's own, JACK, and PipeWire, which is JACK on most desktops.

#[cfg(target_os = "linux")]
use std::os::unix::net::UnixStream;
#[cfg(target_os = "linux")]
use std::path::PathBuf;

use super::Finding;
use crate::ports::{self, Backend, SystemPorts};

const JACK: &str = "JACK";

/// Looks at each: what is there, and what is wanted but away.
pub(super) fn look(backend: Backend) -> Vec<Finding> {
    let systems = ports::list();
    let mut findings = judge(&systems, backend);
    #[cfg(target_os = "linux")]
    findings.push(pipewire(
        reach_pipewire(),
        backend == Backend::Jack,
        systems.iter().any(|system| system.system == JACK && system.ports.is_ok()),
    ));
    findings
}

fn judge(systems: &[SystemPorts], backend: Backend) -> Vec<Finding> {
    let is_wanted = |system: &SystemPorts| match backend {
        // One of them is enough.
        Backend::Auto => systems.iter().all(|system| system.ports.is_err()),
        Backend::System => system.system != JACK,
        Backend::Jack => system.system == JACK,
        Backend::None => false,
    };
    let judged = systems.iter().map(|system| match &system.ports {
        Ok([from, to]) => {
            Finding::ok(system.system, format!("{} ports can be heard, {} played to", from.len(), to.len()))
        }
        Err(why) if is_wanted(system) => Finding::wrong(system.system, why, mend(system.system)),
        Err(why) => Finding::ok(system.system, format!("{why}; it is not needed")),
    });
    judged.collect()
}

fn mend(system: &str) -> &'static str {
    match system {
        JACK => "start PipeWire (`systemctl --user start pipewire`, package pipewire-jack) or `jackd -d alsa`",
        "ALSA sequencer" => {
            "`sudo modprobe snd-seq`; for good: `echo snd-seq | sudo tee /etc/modules-load.d/snd-seq.conf`"
        }
        _ => "see README.md",
    }
}

/// Whether somebody answers at PipeWire's socket; `None` where there is none.
#[cfg(target_os = "linux")]
fn reach_pipewire() -> Option<std::io::Result<()>> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("PIPEWIRE_RUNTIME_DIR").or_else(|| variable("XDG_RUNTIME_DIR"))?;
    let socket = folder.join(variable("PIPEWIRE_REMOTE").unwrap_or_else(|| "pipewire-0".into()));
    socket.exists().then(|| UnixStream::connect(socket).map(drop))
}

#[cfg(target_os = "linux")]
fn pipewire(reached: Option<std::io::Result<()>>, jack_is_wanted: bool, jack_is_there: bool) -> Finding {
    let area = "PipeWire";
    match reached {
        None => Finding::ok(area, "it does not run for this user; it is not needed"),
        Some(Err(why)) => Finding::warning(
            area,
            format!("its socket is there, but it does not answer: {why}"),
            "`systemctl --user restart pipewire`",
        ),
        Some(Ok(())) if jack_is_there => Finding::ok(area, "it runs"),
        Some(Ok(())) if jack_is_wanted => Finding::warning(
            area,
            "it runs, but programs for JACK do not reach it",
            "`pw-jack antiphon jam --backend jack`; for good: `sudo apt install pipewire-jack`, whose README says how",
        ),
        Some(Ok(())) => Finding::ok(area, "it runs; `pw-jack antiphon jam --backend jack` plays through it"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn systems(alsa: bool, jack: bool) -> Vec<SystemPorts> {
        let ports = |there: bool| if there { Ok([Vec::new(), Vec::new()]) } else { Err("it is away".to_owned()) };
        vec![
            SystemPorts { system: "ALSA sequencer", ports: ports(alsa) },
            SystemPorts { system: JACK, ports: ports(jack) },
        ]
    }

    #[test]
    fn a_system_that_is_away_is_wrong_only_where_it_is_wanted() {
        let states = |alsa, jack, backend| {
            let found = judge(&systems(alsa, jack), backend);
            found.iter().map(|finding| finding.state).collect::<Vec<_>>()
        };
        assert_eq!(states(false, true, Backend::Auto), [State::Ok, State::Ok]);
        assert_eq!(states(false, false, Backend::Auto), [State::Wrong, State::Wrong]);
        assert_eq!(states(false, true, Backend::System), [State::Wrong, State::Ok]);
        assert_eq!(states(true, false, Backend::Jack), [State::Ok, State::Wrong]);
        assert_eq!(states(false, false, Backend::None), [State::Ok, State::Ok]);
        for finding in judge(&systems(false, false), Backend::Auto) {
            assert!(finding.mend.is_some_and(|mend| mend.contains('`')), "a command for each");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipewire_that_jack_does_not_reach_is_told_of() {
        let refused = || Some(Err(std::io::ErrorKind::ConnectionRefused.into()));
        assert_eq!(pipewire(None, true, false).state, State::Ok);
        assert_eq!(pipewire(refused(), false, true).state, State::Warning);
        assert_eq!(pipewire(Some(Ok(())), true, true).state, State::Ok);
        assert_eq!(pipewire(Some(Ok(())), false, false).state, State::Ok);
        let unreached = pipewire(Some(Ok(())), true, false);
        assert_eq!(unreached.state, State::Warning);
        assert!(unreached.mend.is_some_and(|mend| mend.contains("pw-jack antiphon")));
    }
}
