//! Flags for OSC.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use clap::Args;

use super::{Exit, Failure};
use crate::surface::osc::OscSettings;

/// The port when none is named: no well-known program listens there.
const USUAL_PORT: &str = "9110";

/// Where OSC is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listen {
    Off,
    On(SocketAddr),
}

#[derive(Debug, Args)]
pub(super) struct OscFlags {
    /// Take and send OSC on this UDP port: PORT for this machine alone, ADDR:PORT for those who reach that address
    /// (0.0.0.0:9110 for all networks; OSC has no password), `off` for none. Without a
    /// value: 9110; `antiphon settings --osc` lists all addresses
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_value = "off", default_missing_value = USUAL_PORT, value_parser = listen)]
    pub osc: Listen,

    /// Tell this host by OSC all that happens, whether it has subscribed or not; may be given several times
    #[arg(long, value_name = "HOST:PORT", value_parser = host)]
    pub osc_to: Vec<String>,
}

impl OscFlags {
    /// What they mean; `None` where there is to be no OSC.
    ///
    /// # Errors
    /// When a host has no address.
    pub(super) fn settings(&self) -> Result<Option<OscSettings>, Failure> {
        let listen = match self.osc {
            Listen::On(address) => Some(address),
            Listen::Off => None,
        };
        if listen.is_none() && self.osc_to.is_empty() {
            return Ok(None);
        }
        let addresses = self.osc_to.iter().map(|host| {
            let mut found = host.to_socket_addrs().map_err(|why| {
                Failure::new(
                    Exit::Usage,
                    format!("--osc-to {host}: this host has no address that is known here ({why})"),
                )
            })?;
            // The address of the family that is listened on, if there is one.
            let all: Vec<_> = found.by_ref().collect();
            let fits = |address: &&SocketAddr| listen.is_none_or(|listen| listen.is_ipv4() == address.is_ipv4());
            let chosen = all.iter().find(fits).or(all.first()).copied();
            chosen.ok_or_else(|| Failure::new(Exit::Usage, format!("--osc-to {host}: this host has no address")))
        });
        Ok(Some(OscSettings { listen, to: addresses.collect::<Result<_, _>>()? }))
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    if let Ok(port) = text.parse() {
        return Ok(Listen::On(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)));
    }
    let address = text.parse().map(Listen::On);
    address.map_err(|_| "expected a port, an address and a port such as 0.0.0.0:9110 or [::1]:9110, or `off`".into())
}

fn host(text: &str) -> Result<String, String> {
    let (_, port) = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).unwrap_or(("", ""));
    match port.parse::<u16>() {
        Ok(1..) => Ok(text.into()),
        _ => Err("expected a host and a port, such as lights.local:9000 or 192.168.1.20:9000".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        flags: OscFlags,
        #[arg(long)]
        json: bool,
    }

    fn settings(typed: &[&str]) -> Option<OscSettings> {
        let flags = Typed::try_parse_from(std::iter::once("jam").chain(typed.iter().copied())).expect("it makes sense");
        assert_eq!(flags.json, typed.contains(&"--json"));
        flags.flags.settings().expect("addresses, not names")
    }

    #[test]
    fn osc_is_off_and_then_open_to_this_machine_alone_unless_told_otherwise() {
        assert!(settings(&[]).is_none() && settings(&["--osc", "off"]).is_none());
        for (typed, listens) in [
            (&["--osc"][..], "127.0.0.1:9110"),
            (&["--osc", "--json"], "127.0.0.1:9110"),
            (&["--osc", "9000"], "127.0.0.1:9000"),
            (&["--osc", "0.0.0.0:9000"], "0.0.0.0:9000"),
            (&["--osc", "[::1]:9000"], "[::1]:9000"),
        ] {
            let listen = settings(typed).and_then(|settings| settings.listen).map(|address| address.to_string());
            assert_eq!(listen.as_deref(), Some(listens), "{typed:?}");
        }
    }

    #[test]
    fn hosts_can_be_told_without_listening() {
        let settings = settings(&["--osc-to", "127.0.0.1:9000", "--osc-to", "[::1]:9001"]).expect("something to do");
        assert_eq!(settings.listen, None);
        assert_eq!(settings.to.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:9000", "[::1]:9001"]);
    }
}
