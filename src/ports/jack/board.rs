//! What is attached to our two ports, and the way back to a server that went.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jack::{MidiIn, MidiOut, PortFlags};

use super::performance::Performance;
use super::process::{Active, Foyer, Notifications, Process, Signals};
use super::{NAME, client, looking, others, refused, stale};
use crate::conductor::LEAD;
use crate::ports::cables::{Bell, Board, CableId, Found};
use crate::ports::{Destination, Direction, InputSink, Offset, PortError, PortName};
use crate::time::{Clock, SessionDuration};

/// How long a look waits for callbacks of a client whose server has gone. The next look waits on.
const CALLED_WITHIN: Duration = Duration::from_millis(200);

/// A client that is not called for so long is looked for at the server. PipeWire does not tell its clients that it goes.
const CALLED_EVERY: Duration = Duration::from_millis(400);

/// So long after a client was opened, it is seen whether that went well.
const OPENS_BADLY_WITHIN: Duration = Duration::from_secs(5);

/// The library gives a semaphore back much sooner than this when its client has gone.
const STALE_FOR: Duration = Duration::from_millis(200);

/// A connection that was seen so shortly before the server went has gone with it: a server on its way out takes its
/// other clients away first.
const GONE_WITH_IT: Duration = Duration::from_secs(2);

/// The client while there is a server: for the board, which replaces it, and for the end of the session.
#[derive(Default)]
pub(super) struct Seat(Mutex<Option<Arc<Active>>>);

impl Seat {
    pub fn get(&self) -> Option<Arc<Active>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, active: Active) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(active));
    }

    pub fn take(&self) -> Option<Arc<Active>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// See above.
pub(super) struct JackBoard {
    name: PortName,
    clock: Clock,
    /// Where the conductor is told how far ahead it has to plan.
    input: InputSink,
    latency: Offset,
    bell: Bell,
    foyer: Foyer,
    signals: Arc<Signals>,
    seat: Arc<Seat>,
    /// The player and its ledgers, while no client has them.
    performance: Option<Box<Performance>>,
    /// The server, in words.
    server: String,
    /// How far ahead the conductor plans.
    lead: SessionDuration,
    /// Whole names of our ports: the one that listens, and the one that we send by.
    own: [String; 2],
    /// Whoever sends to us, attached by us or by others, when last looked.
    sources: Vec<String>,
    plugged: BTreeMap<CableId, (Direction, String)>,
    by_hand: ByHand,
    /// Periods so far, and since when there were no more.
    periods: (u32, Instant),
    /// When the client was opened, and since when it keeps a semaphore that is nobody's.
    opened: Instant,
    stale_since: Option<Instant>,
    /// Whether it was opened again for that at this server. Once must do.
    reopened: bool,
}

impl JackBoard {
    /// A board without a client. [`JackBoard::connect`] makes one.
    pub fn new(
        name: PortName,
        (clock, input, latency): (Clock, InputSink, Offset),
        bell: Bell,
        signals: Arc<Signals>,
        seat: Arc<Seat>,
        performance: Performance,
    ) -> Self {
        Self {
            clock,
            input,
            latency,
            bell,
            foyer: crossbeam_channel::bounded(1),
            signals,
            seat,
            performance: Some(Box::new(performance)),
            server: NAME.to_owned(),
            lead: SessionDuration::ZERO,
            own: [name.input(), name.output()].map(|port| format!("{}:{port}", name.client())),
            name,
            sources: Vec::new(),
            plugged: BTreeMap::new(),
            by_hand: ByHand::default(),
            periods: (0, Instant::now()),
            opened: Instant::now(),
            stale_since: None,
            reopened: false,
        }
    }

    /// Least time between planning a note and its onset, so that it is not late at the port.
    pub fn lead(&self) -> SessionDuration {
        self.lead
    }

    /// Whole names of our ports: the one that listens, and the one that we send by.
    pub fn own(&self) -> [String; 2] {
        self.own.clone()
    }

    /// Opens a client with our two ports, and has it play on.
    pub fn connect(&mut self) -> Result<(), PortError> {
        let client = client(&self.name)?;
        let [in_name, out_name] = [self.name.input(), self.name.output()];
        let input = client.register_port(&in_name, MidiIn::default()).map_err(|error| refused(&in_name, &error))?;
        let output = client.register_port(&out_name, MidiOut::default()).map_err(|error| refused(&out_name, &error))?;
        self.own = [input.name().unwrap_or_default(), output.name().unwrap_or_default()];
        let signals = Arc::clone(&self.signals);
        signals.join();
        self.opened = Instant::now();
        self.stale_since = None;
        self.periods = (signals.periods.load(Relaxed), self.opened);
        let process = Process { input, output, performance: None, foyer: self.foyer.clone(), signals };
        let notifications = Notifications { signals: Arc::clone(&self.signals), bell: self.bell.clone() };
        // A client that cannot be activated takes its process with it: the performance comes after.
        let active =
            client.activate_async(notifications, process).map_err(|error| refused(self.name.client(), &error))?;
        let (rate, frames) = (active.as_client().sample_rate(), active.as_client().buffer_size());
        self.server = format!("{NAME} at {rate} Hz, {frames} frames a period");
        self.plan_ahead(rate, frames);
        self.seat.put(active);
        if let Some(mut performance) = self.performance.take() {
            performance.meet_a_server(self.clock.now());
            // There is place: it is the only one.
            let _ = self.foyer.0.try_send(performance);
        }
        Ok(())
    }

    /// Plans for a server with these periods, which are in frames.
    pub fn plan_ahead(&mut self, rate: u32, frames: u32) {
        let period = u64::from(frames) * 1_000_000 / u64::from(rate.max(1));
        // Commands are read at the beginning of a period, for that period.
        let lead = LEAD + SessionDuration::from_micros(2 * period) + self.latency.lead();
        let before = std::mem::replace(&mut self.lead, lead);
        // The first one is told with the ports.
        if before != lead && before != SessionDuration::ZERO {
            self.input.plan_ahead(lead);
        }
    }

    /// The server has gone: closes the client, as soon as that can be done.
    fn leave(&mut self) {
        if !self.signals.leave(CALLED_WITHIN) {
            return;
        }
        // Closing it leaves the performance in the foyer.
        drop(self.seat.take());
        self.signals.gone.store(false, Relaxed);
        self.server = NAME.to_owned();
        self.sources.clear();
        let plugged = &self.plugged;
        self.by_hand.leave(|direction, port| plugged.values().any(|(way, name)| (*way, name) == (direction, port)));
        self.fetch();
    }

    /// Whether the client is called no more, and no server knows it.
    fn is_forgotten(&mut self) -> bool {
        let periods = self.signals.periods.load(Relaxed);
        if periods != self.periods.0 {
            self.periods = (periods, Instant::now());
        }
        let [input, _] = &self.own;
        self.periods.1.elapsed() > CALLED_EVERY && !looking().is_ok_and(|probe| probe.port_by_name(input).is_some())
    }

    /// Whether the client was opened badly: see [`stale`].
    fn is_badly_opened(&mut self) -> bool {
        if self.reopened || self.opened.elapsed() > OPENS_BADLY_WITHIN || !stale::keeps_a_semaphore() {
            self.stale_since = None;
            return false;
        }
        self.reopened = self.stale_since.get_or_insert_with(Instant::now).elapsed() >= STALE_FOR;
        self.reopened
    }

    /// Takes the performance over from a client that has been closed.
    fn fetch(&mut self) {
        if self.performance.is_none()
            && let Ok(mut performance) = self.foyer.1.try_recv()
        {
            performance.lose_the_server(self.clock.now());
            self.performance = Some(performance);
        }
    }

    /// Lets time go by without a server, and looks for one.
    fn knock(&mut self) -> Option<Arc<Active>> {
        self.fetch();
        self.performance.as_mut()?.go_by(self.clock.now());
        self.connect().ok()?;
        self.seat.get()
    }

    /// Who is connected to one of our ports.
    fn connected(active: &Active, own: &str) -> Vec<String> {
        active.as_client().port_by_name(own).map(|port| port.get_connections()).unwrap_or_default()
    }

    /// What a source held goes up when the source has gone: it cannot say so any more. All sources come in by one port,
    /// so what others hold goes up with it.
    fn look_at_sources(&mut self, active: &Active) {
        let [input, output] = &self.own;
        let now = Self::connected(active, input);
        if self.sources.iter().any(|before| !now.contains(before)) {
            self.signals.human_gone.store(true, Relaxed);
        }
        self.by_hand.saw(Direction::From, &now);
        self.by_hand.saw(Direction::To, &Self::connected(active, output));
        self.sources = now;
    }

    /// The two ends of a cable.
    fn ends<'a>(&'a self, direction: Direction, port: &'a str) -> [&'a str; 2] {
        let [input, output] = &self.own;
        match direction {
            Direction::From => [port, input],
            Direction::To => [output, port],
        }
    }

    fn connect_to(&self, active: &Active, direction: Direction, port: &str) -> Result<(), PortError> {
        let [source, sink] = self.ends(direction, port);
        match active.as_client().connect_ports_by_name(source, sink) {
            // A session manager may have been quicker.
            Ok(()) | Err(jack::Error::PortAlreadyConnected(..)) => Ok(()),
            Err(error) => Err(refused(port, &error)),
        }
    }
}

impl Board for JackBoard {
    fn system(&self) -> String {
        self.server.clone()
    }

    fn there(&mut self) -> Option<[Vec<Found>; 2]> {
        let seated = self.seat.get();
        let has_gone = seated.is_some() && (self.signals.gone.load(Relaxed) || self.is_forgotten());
        if has_gone || seated.is_some() && self.is_badly_opened() {
            drop(seated);
            self.reopened &= !has_gone;
            self.signals.gone.store(true, Relaxed);
            self.leave();
            return None;
        }
        let active = match seated {
            Some(active) => active,
            None => self.knock()?,
        };
        let [from, to] = [PortFlags::IS_OUTPUT, PortFlags::IS_INPUT].map(|kind| others(active.as_client(), kind));
        for (direction, port) in self.by_hand.come_back(&from, &to) {
            // One that is refused now would be so again.
            let _ = self.connect_to(&active, direction, &port);
        }
        self.look_at_sources(&active);
        let found =
            |names: Vec<String>| names.into_iter().map(|name| Found { stable: name.clone(), name }).collect::<Vec<_>>();
        Some([found(from), found(to)])
    }

    fn turnover(&mut self) -> u64 {
        self.signals.turnover.load(Relaxed)
    }

    fn accepts(&self, _: Direction, wanted: &Destination) -> Result<(), PortError> {
        if wanted.offset == Offset::default() {
            return Ok(());
        }
        let why = "JACK has one output port for all, which --offset-ms moves; leave the offset out here".to_owned();
        Err(PortError::Refused { system: NAME, port: wanted.name.clone(), why })
    }

    fn plug(&mut self, id: CableId, direction: Direction, port: &Found, _: Offset) -> Result<(), PortError> {
        let Some(active) = self.seat.get() else {
            return Err(PortError::Unavailable { system: NAME, why: "it has just gone".to_owned() });
        };
        self.connect_to(&active, direction, &port.name)?;
        self.plugged.insert(id, (direction, port.name.clone()));
        Ok(())
    }

    fn is_plugged(&mut self, id: CableId) -> bool {
        let (Some((direction, port)), Some(active)) = (self.plugged.get(&id), self.seat.get()) else { return false };
        let [input, output] = &self.own;
        let own = if *direction == Direction::From { input } else { output };
        Self::connected(&active, own).contains(port)
    }

    // Stays known: somebody may plug it by hand.
    fn unplug(&mut self, _: CableId) {}

    fn remove(&mut self, id: CableId) {
        let Some((direction, port)) = self.plugged.remove(&id) else { return };
        let Some(active) = self.seat.get() else { return };
        let [source, sink] = self.ends(direction, &port);
        // It may have gone already.
        let _ = active.as_client().disconnect_ports_by_name(source, sink);
        self.look_at_sources(&active);
    }
}

/// Connections that others have made, with a patchbay or by hand. A server that goes takes them along, and nobody else may
/// bring them back.
#[derive(Default)]
struct ByHand {
    /// Those of the server that runs, and when each was seen last.
    seen: Vec<(Direction, String, Instant)>,
    /// Those that went with a server and have not come back.
    gone: Vec<(Direction, String)>,
}

impl ByHand {
    /// These are connected now.
    fn saw(&mut self, direction: Direction, ports: &[String]) {
        let now = Instant::now();
        self.seen.retain(|(way, port, seen)| {
            (*way != direction || !ports.contains(port)) && now.duration_since(*seen) < GONE_WITH_IT
        });
        self.seen.extend(ports.iter().map(|port| (direction, port.clone(), now)));
    }

    /// The server has gone, with all but the connections that are wanted anyway.
    fn leave(&mut self, wanted: impl Fn(Direction, &String) -> bool) {
        let gone = self.seen.drain(..).filter(|(_, _, seen)| seen.elapsed() < GONE_WITH_IT);
        let gone = gone.map(|(direction, port, _)| (direction, port)).filter(|(way, port)| !wanted(*way, port));
        let new: Vec<_> = gone.filter(|connection| !self.gone.contains(connection)).collect();
        self.gone.extend(new);
    }

    /// Those that went and whose ports are there again, each once.
    fn come_back(&mut self, from: &[String], to: &[String]) -> Vec<(Direction, String)> {
        let is_there = |(direction, port): &mut (Direction, String)| match direction {
            Direction::From => from.contains(port),
            Direction::To => to.contains(port),
        };
        self.gone.extract_if(.., is_there).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_connected_by_hand_comes_back_with_its_port_and_only_once() {
        let name = |text: &str| text.to_owned();
        let mut by_hand = ByHand::default();
        by_hand.saw(Direction::From, &[name("keys:out"), name("Key:wanted")]);
        by_hand.saw(Direction::To, &[name("synth:in")]);
        // The synth goes a moment before the server.
        by_hand.saw(Direction::To, &[]);
        by_hand.leave(|direction, port| direction == Direction::From && port == "Key:wanted");
        assert_eq!(by_hand.come_back(&[], &[]), []);
        assert_eq!(by_hand.come_back(&[name("Key:wanted")], &[name("synth:in")]), [(Direction::To, name("synth:in"))]);
        let keys = [name("keys:out")];
        assert_eq!(by_hand.come_back(&keys, &[name("synth:in")]), [(Direction::From, name("keys:out"))]);
        assert_eq!(by_hand.come_back(&keys, &[name("synth:in")]), []);
    }

    #[test]
    fn what_was_pulled_by_hand_long_before_is_left_so() {
        let mut by_hand = ByHand::default();
        let long_ago = Instant::now().checked_sub(GONE_WITH_IT).expect("the machine has run for seconds");
        by_hand.seen.push((Direction::From, "keys:out".to_owned(), long_ago));
        by_hand.leave(|_, _| false);
        assert_eq!(by_hand.come_back(&["keys:out".to_owned()], &[]), []);
    }
}
