//! `antiphon ports`.

use super::Failure;
use super::flags::PortsFlags;
use crate::ports::{CLIENT_NAME, INPUT_NAME, OUTPUT_NAME, list};

#[expect(clippy::unnecessary_wraps, reason = "every command returns the same")]
pub(super) fn run(flags: PortsFlags) -> Result<(), Failure> {
    let systems = list();
    if flags.json {
        let systems = systems.iter().map(|system| match &system.ports {
            Ok([from, to]) => serde_json::json!({ "system": system.system, "from": from, "to": to }),
            Err(why) => serde_json::json!({ "system": system.system, "unavailable": why }),
        });
        println!("{}", serde_json::Value::from_iter(systems));
        return Ok(());
    }
    for system in &systems {
        match &system.ports {
            Err(why) => println!("{}: not available: {why}", system.system),
            Ok([from, to]) => {
                println!("{}", system.system);
                show("can be heard    (--connect-from)", from);
                show("can be played to (--connect-to)", to);
            }
        }
    }
    println!("`antiphon jam` adds `{INPUT_NAME}` and `{OUTPUT_NAME}` of the client `{CLIENT_NAME}`.");
    Ok(())
}

fn show(what: &str, ports: &[String]) {
    println!("  {what}:");
    for port in ports {
        println!("    {port}");
    }
    if ports.is_empty() {
        println!("    (none)");
    }
}
