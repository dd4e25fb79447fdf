//! OSC for a jam.

use std::sync::Arc;

use crate::commands::log::Log;
use crate::commands::{Exit, Failure};
use crate::session::LiveSession;
use crate::surface::osc::{Osc, OscSettings};

/// Opens OSC and says where.
pub(super) fn open_osc(log: Log, settings: &OscSettings, session: &LiveSession) -> Result<Osc, Failure> {
    let opened = Osc::start(settings, session.feed.clone(), session.controller(), Arc::clone(&session.status));
    let osc = opened.map_err(|why| match settings.listen {
        Some(address) => {
            Failure::new(Exit::Port, format!("OSC cannot be opened on {address}: {why}; name another port with --osc"))
        }
        None => Failure::new(Exit::Port, format!("OSC cannot be sent: {why}")),
    })?;
    if let Some(address) = osc.address {
        let who = if address.ip().is_loopback() {
            "this machine"
        } else {
            "whoever reaches this address, without a password"
        };
        log.info(format_args!("OSC: {address}, open to {who}"));
    }
    for to in &settings.to {
        log.info(format_args!("OSC: tells {to}"));
    }
    Ok(osc)
}
