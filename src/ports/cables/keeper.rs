//! Who looks after the cables.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::seek::{Found, seek};
use super::{Bell, Cable, CableState, Cables, Direction, MOST, Ports, Wish};
use crate::fault;
use crate::ports::{Destination, Offset, PortError};
use crate::sight::Sight;
use crate::status::Status;
use crate::time::{Clock, SessionTime};

/// How often the keeper looks by itself. Where the system tells that ports come and go it looks at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long an end that hangs loose while its port is still there is taken for one that is about to go: JACK takes the
/// cables of a client away before its ports.
const GOING: Duration = Duration::from_millis(200);

/// How long a port that is there may refuse without a word about it: JACK shows the ports of a client before it can be
/// connected to.
const COMING: Duration = Duration::from_millis(600);

/// Wishes that may wait. With more, whoever asks waits; the bell does not.
const WISHES: usize = 256;

/// How long a MIDI system that hangs may hold up the end of the session.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// A cable's number, never given twice in a session.
pub(in crate::ports) type CableId = u32;

/// What a MIDI system can do. Thread: the keeper's, which may wait.
pub(in crate::ports) trait Board: Send {
    /// The system, in words.
    fn system(&self) -> String;

    /// Ports of other programs that send to us, and that we send to; `None` while the system is away. Tries to bring it
    /// back: then every cable has to be plugged anew.
    fn there(&mut self) -> Option<[Vec<Found>; 2]>;

    /// How often ports have come or gone so far. Where this is not known, always the same.
    fn turnover(&mut self) -> u64 {
        0
    }

    /// Refuses what this system cannot do.
    fn accepts(&self, direction: Direction, wanted: &Destination) -> Result<(), PortError>;

    /// Attaches to a port of `there`.
    fn plug(&mut self, id: CableId, direction: Direction, port: &Found, offset: Offset) -> Result<(), PortError>;

    /// Whether the cable is still plugged, where its port is there.
    fn is_plugged(&mut self, id: CableId) -> bool;

    /// Lets go of the port, which may have gone; what is owed there is kept until it is plugged again.
    fn unplug(&mut self, id: CableId);

    /// The cable is wanted no longer: what sounds at its end is released.
    fn remove(&mut self, id: CableId);
}

/// A cable and what only the keeper needs of it.
struct Kept {
    id: CableId,
    offset: Offset,
    cable: Cable,
    /// Since when it has been seen attached to a port that is there, but not plugged.
    loose_since: Option<Instant>,
    /// Since when it could be attached and was refused.
    refused_since: Option<Instant>,
}

/// Everything that the keeper's thread may touch.
struct Keeping {
    board: Box<dyn Board>,
    kept: Vec<Kept>,
    next_id: CableId,
    there: [Vec<Found>; 2],
    runs: bool,
    /// Since when the system is away; `None` while it is there, or has not been yet.
    away_since: Option<SessionTime>,
    turnover: u64,
    clock: Clock,
    status: Arc<Status>,
    watchers: Sender<Sight>,
    cables: Cables,
    /// What has happened since it was last shown, in sentences.
    news: VecDeque<String>,
}

/// The keeper's queue of wishes, before there is a keeper: drivers that are opened first can ring already.
pub(in crate::ports) struct Door {
    cables: Cables,
    wishes: Receiver<Wish>,
}

impl Door {
    pub fn new() -> Self {
        let (sender, wishes) = crossbeam_channel::bounded(WISHES);
        Self { cables: Cables { wishes: sender, ports: Arc::new(Mutex::default()) }, wishes }
    }

    #[cfg_attr(not(feature = "jack"), allow(dead_code, reason = "JACK alone tells of what has changed"))]
    pub fn bell(&self) -> Bell {
        Bell(self.cables.wishes.clone())
    }
}

/// The running thread. Dropping it ends it; the cables stay as they are until the board is dropped with it.
pub struct Keeper {
    /// How to see and to ask.
    pub cables: Cables,
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Attaches to what is wanted and there, and looks after it from now on.
    ///
    /// # Errors
    /// [`PortError`] when something cannot be attached that is there, names are ambiguous or, where ports are required,
    /// one is missing.
    pub(in crate::ports) fn start(
        door: Door,
        mut board: Box<dyn Board>,
        wanted: impl IntoIterator<Item = (Direction, Destination)>,
        required: bool,
        (clock, status, watchers): (Clock, Arc<Status>, Sender<Sight>),
    ) -> Result<Self, PortError> {
        let Door { cables, wishes } = door;
        let mut keeping = Keeping {
            turnover: board.turnover(),
            board,
            kept: Vec::new(),
            next_id: 0,
            there: [Vec::new(), Vec::new()],
            runs: true,
            away_since: None,
            clock,
            status,
            watchers,
            cables: cables.clone(),
            news: VecDeque::new(),
        };
        keeping.begin(wanted, required)?;
        let (tell_end, ended) = crossbeam_channel::bounded::<()>(0);
        let thread = thread::Builder::new()
            .name("cables".into())
            .spawn(move || {
                let _tell_end = tell_end;
                keeping.run(&wishes);
            })
            .map_err(|error| PortError::Unavailable { system: "a thread for the cables", why: error.to_string() })?;
        Ok(Self { cables, ended, thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let begun = Instant::now();
        let _ = self.cables.wishes.send_timeout(Wish::End, ENDS_WITHIN);
        // A system that hangs holds its own thread, not the end of the session.
        let _ = self.ended.recv_timeout(ENDS_WITHIN.saturating_sub(begun.elapsed()));
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

impl Keeping {
    /// The first look, on the thread that opens the session: mistakes are told at once.
    fn begin(
        &mut self,
        wanted: impl IntoIterator<Item = (Direction, Destination)>,
        required: bool,
    ) -> Result<(), PortError> {
        match self.board.there() {
            Some(there) => self.there = there,
            None => self.runs = false,
        }
        for (direction, wanted) in wanted {
            self.board.accepts(direction, &wanted)?;
            let number = self.want(direction, wanted);
            match self.find(number) {
                Ok(port) => self.plug(number, &port)?,
                Err(unknown @ PortError::Unknown { .. }) if required => return Err(unknown),
                Err(PortError::Unknown { .. }) => {}
                Err(ambiguous) => return Err(ambiguous),
            }
        }
        self.news.clear();
        self.show(false);
        Ok(())
    }

    fn run(mut self, wishes: &Receiver<Wish>) {
        loop {
            fault::point("cables");
            match wishes.recv_timeout(LOOK_EVERY) {
                Ok(Wish::End) | Err(RecvTimeoutError::Disconnected) => return self.end(),
                Ok(Wish::Attach(direction, wanted)) => self.attach(direction, wanted),
                Ok(Wish::Detach(direction, name)) => self.detach(direction, &name),
                Ok(Wish::Look) | Err(RecvTimeoutError::Timeout) => {}
            }
            self.look();
            self.show(true);
        }
    }

    /// A system that does not come back is away to the end.
    fn end(&self) {
        let away = self.away_since.map(|since| self.clock.now().since(since));
        away.into_iter().for_each(|away| self.status.figures.system_away.add(away));
    }

    fn attach(&mut self, direction: Direction, wanted: Destination) {
        // What is asked for may have come just now.
        self.look();
        let known = |kept: &&mut Kept| kept.cable.direction == direction && kept.cable.name == wanted.name;
        if let Some(kept) = self.kept.iter_mut().find(known) {
            if kept.cable.state == CableState::Unplugged {
                kept.cable.state = CableState::Waiting;
            }
            return;
        }
        if self.kept.len() == MOST {
            return self.news.push_back(format!("{MOST} ports are wanted already; {} is not", wanted.name));
        }
        match self.board.accepts(direction, &wanted) {
            Err(why) => self.news.push_back(why.to_string()),
            Ok(()) => {
                let number = self.want(direction, wanted);
                if let Err(unknown @ PortError::Unknown { .. }) = self.find(number) {
                    self.news.push_back(format!("{unknown}; waiting for it"));
                }
            }
        }
    }

    /// Adds a cable, and gives its place.
    fn want(&mut self, direction: Direction, Destination { name, offset }: Destination) -> usize {
        let cable = Cable { direction, name, state: CableState::Waiting, port: None, why: None };
        self.kept.push(Kept { id: self.next_id, offset, cable, loose_since: None, refused_since: None });
        self.next_id += 1;
        self.kept.len() - 1
    }

    fn detach(&mut self, direction: Direction, name: &str) {
        let is_it = |kept: &Kept| {
            kept.cable.direction == direction && (kept.cable.name == name || kept.cable.port.as_deref() == Some(name))
        };
        let Some(place) = self.kept.iter().position(is_it) else {
            return self.news.push_back(format!("no {} port called {name:?} is attached", direction.name()));
        };
        let Kept { id, cable, .. } = self.kept.remove(place);
        self.board.remove(id);
        self.news.push_back(format!("{cable} is detached"));
    }

    /// Sees what has come and gone, and does what follows from it.
    fn look(&mut self) {
        let there = self.board.there();
        let turnover = self.board.turnover();
        let turned = std::mem::replace(&mut self.turnover, turnover) != turnover;
        match there {
            Some(there) => {
                if !std::mem::replace(&mut self.runs, true) {
                    let is = if let Some(since) = self.away_since.take() {
                        self.status.figures.system_away.add(self.clock.now().since(since));
                        "is back"
                    } else {
                        "is there"
                    };
                    self.news.push_back(format!("{} {is}", self.board.system()));
                }
                self.there = there;
            }
            None => {
                if std::mem::replace(&mut self.runs, false) {
                    self.away_since = Some(self.clock.now());
                    self.status.systems_lost.fetch_add(1, Relaxed);
                    self.news.push_back(format!(
                        "{} has gone; the recording goes on, and it is waited for",
                        self.board.system()
                    ));
                }
                self.there = [Vec::new(), Vec::new()];
            }
        }
        for place in 0..self.kept.len() {
            self.check(place, turned);
        }
        for place in 0..self.kept.len() {
            if self.kept[place].cable.state.is_missing() {
                self.seek(place);
            }
        }
    }

    /// What has become of a cable that was plugged.
    fn check(&mut self, place: usize, turned: bool) {
        let Kept { id, cable, .. } = &self.kept[place];
        let (id, state, direction) = (*id, cable.state, cable.direction);
        if state.is_missing() {
            return;
        }
        let is_there =
            cable.port.as_ref().is_some_and(|port| self.of(direction).iter().any(|there| there.name == *port));
        let is_plugged = is_there && self.board.is_plugged(id);
        let name = self.kept[place].cable.to_string();
        let loose_since = self.kept[place].loose_since.take();
        let state = match state {
            CableState::Attached if is_plugged => return,
            // All go with the system, which is one sentence.
            CableState::Attached if !self.runs => {
                self.board.unplug(id);
                CableState::Gone
            }
            // It went and came back between two looks.
            CableState::Attached if !is_there || turned => {
                self.status.ports_lost.fetch_add(1, Relaxed);
                self.news.push_back(format!("{name} has gone; waiting for it"));
                self.board.unplug(id);
                CableState::Gone
            }
            CableState::Attached if loose_since.is_none_or(|since| since.elapsed() < GOING) => {
                self.kept[place].loose_since = loose_since.or_else(|| Some(Instant::now()));
                return;
            }
            CableState::Attached => {
                self.news.push_back(format!("{name} has been unplugged by hand; it is left so"));
                self.board.unplug(id);
                CableState::Unplugged
            }
            _ if is_plugged => CableState::Attached,
            _ if is_there => return,
            _ => CableState::Gone,
        };
        self.kept[place].cable.state = state;
    }

    /// Looks for the port of a cable that waits.
    fn seek(&mut self, place: usize) {
        match self.find(place) {
            Ok(port) => {
                let was = self.kept[place].cable.state;
                let news = match self.plug(place, &port) {
                    Ok(()) if was == CableState::Gone => format!("{} is back", port.name),
                    Ok(()) => format!("{} is attached", port.name),
                    // Told once, not at every look.
                    Err(why) => return self.refuse(place, &why),
                };
                self.news.push_back(news);
            }
            Err(PortError::Unknown { .. }) => {
                self.kept[place].cable.why = None;
                self.kept[place].refused_since = None;
            }
            Err(why) => self.refuse(place, &why),
        }
    }

    fn refuse(&mut self, place: usize, why: &PortError) {
        let Kept { cable, refused_since, .. } = &mut self.kept[place];
        if refused_since.get_or_insert_with(Instant::now).elapsed() < COMING {
            return;
        }
        let why = why.to_string();
        if cable.why.as_deref() != Some(&why) {
            self.news.push_back(format!("{why}; waiting"));
            cable.why = Some(why);
        }
    }

    fn find(&self, place: usize) -> Result<Found, PortError> {
        let cable = &self.kept[place].cable;
        let others = self.kept.iter().map(|kept| &kept.cable).filter(|other| {
            other.direction == cable.direction && matches!(other.state, CableState::Attached | CableState::Unplugged)
        });
        let taken: Vec<&str> = others.filter_map(|other| other.port.as_deref()).collect();
        let there = self.of(cable.direction);
        seek(cable.direction, &cable.name, cable.port.as_deref(), there, &taken).cloned()
    }

    fn plug(&mut self, place: usize, port: &Found) -> Result<(), PortError> {
        let Kept { id, offset, cable, refused_since, .. } = &mut self.kept[place];
        self.board.plug(*id, cable.direction, port, *offset)?;
        *refused_since = None;
        cable.state = CableState::Attached;
        cable.port = Some(port.name.clone());
        cable.why = None;
        Ok(())
    }

    fn of(&self, direction: Direction) -> &[Found] {
        match direction {
            Direction::From => &self.there[0],
            Direction::To => &self.there[1],
        }
    }

    /// Shows how things stand, if that has changed.
    fn show(&mut self, to_watchers: bool) {
        let names = |direction| self.of(direction).iter().map(|port| port.name.clone()).collect();
        let ports = Arc::new(Ports {
            system: self.board.system(),
            runs: self.runs,
            cables: self.kept.iter().map(|kept| kept.cable.clone()).collect(),
            from: names(Direction::From),
            to: names(Direction::To),
        });
        if ports == self.cables.ports() && self.news.is_empty() {
            return;
        }
        self.status.system_away.store(!self.runs, Relaxed);
        let missing = ports.missing().count();
        self.status.ports_missing.store(u64::try_from(missing).unwrap_or(u64::MAX), Relaxed);
        self.cables.publish(Arc::clone(&ports));
        if to_watchers {
            let news = self.news.drain(..).collect();
            // Nobody may be looking: what has no place is not shown.
            let _ = self.watchers.try_send(Sight::Ports { at: self.clock.now(), ports, news });
        }
    }
}

#[cfg(test)]
mod tests;
