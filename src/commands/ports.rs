//! `antiphon ports`.

use clap::Args;

use super::{Failure, examples, print_line};
use crate::ports::{PortName, list};

#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = examples::PORTS)]
pub(super) struct PortsFlags {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "every command returns the same")]
pub(super) fn run(flags: PortsFlags) -> Result<(), Failure> {
    let systems = list();
    if flags.json {
        let systems = systems.iter().map(|system| match &system.ports {
            Ok([from, to]) => serde_json::json!({ "system": system.system, "from": from, "to": to }),
            Err(why) => serde_json::json!({ "system": system.system, "unavailable": why }),
        });
        print_line(serde_json::Value::from_iter(systems));
        return Ok(());
    }
    for system in &systems {
        match &system.ports {
            Err(why) => print_line(format_args!("{}: not available: {why}", system.system)),
            Ok([from, to]) => {
                print_line(format_args!("{}", system.system));
                show("can be heard    (--connect-from)", from);
                show("can be played to (--connect-to)", to);
            }
        }
    }
    let name = PortName::default();
    print_line(format_args!(
        "`antiphon jam` adds `{}` and `{}` of the client `{name}`, or of another --name.",
        name.input(),
        name.output()
    ));
    Ok(())
}

fn show(what: &str, ports: &[String]) {
    print_line(format_args!("  {what}:"));
    for port in ports {
        print_line(format_args!("    {port}"));
    }
    if ports.is_empty() {
        print_line(format_args!("    (none)"));
    }
}
