//! The keeper at a board whose ports come and go as a test wants.

use std::sync::MutexGuard;

use super::*;
use crate::ports::cables::stable_name;

/// What a test sees and changes of the board.
#[derive(Default)]
struct State {
    there: [Vec<String>; 2],
    /// `None`: the system runs.
    away: bool,
    turnover: u64,
    plugged: Vec<(CableId, String)>,
    done: Vec<String>,
}

#[derive(Clone, Default)]
struct Toy(Arc<Mutex<State>>);

impl Toy {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("not poisoned")
    }

    /// A port comes or goes.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.turnover += 1;
        let State { there, plugged, .. } = &mut *state;
        plugged.retain(|(_, port)| there.iter().flatten().any(|name| name == port));
    }
}

impl Board for Toy {
    fn system(&self) -> String {
        "toy".into()
    }

    fn there(&mut self) -> Option<[Vec<Found>; 2]> {
        let state = self.state();
        let found = |names: &Vec<String>| {
            names.iter().map(|name| Found { name: name.clone(), stable: stable_name(name) }).collect()
        };
        (!state.away).then(|| [found(&state.there[0]), found(&state.there[1])])
    }

    fn turnover(&mut self) -> u64 {
        self.state().turnover
    }

    fn accepts(&self, _: Direction, _: &Destination) -> Result<(), PortError> {
        Ok(())
    }

    fn plug(&mut self, id: CableId, _: Direction, port: &Found, _: Offset) -> Result<(), PortError> {
        let mut state = self.state();
        state.plugged.push((id, port.name.clone()));
        state.done.push(format!("plug {}", port.name));
        Ok(())
    }

    fn is_plugged(&mut self, id: CableId) -> bool {
        self.state().plugged.iter().any(|(plugged, _)| *plugged == id)
    }

    fn unplug(&mut self, id: CableId) {
        let mut state = self.state();
        state.plugged.retain(|(plugged, _)| *plugged != id);
        state.done.push(format!("unplug {id}"));
    }

    fn remove(&mut self, id: CableId) {
        self.state().done.push(format!("remove {id}"));
    }
}

fn from(name: &str) -> (Direction, Destination) {
    (Direction::From, Destination { name: name.into(), offset: Offset::default() })
}

/// A keeper that wants a keyboard, at a board with these ports that send.
fn keeper(there: &[&str], required: bool) -> (Toy, Result<Keeper, PortError>, Receiver<Sight>, Arc<Status>) {
    let toy = Toy::default();
    toy.state().there[0] = there.iter().map(|name| (*name).to_owned()).collect();
    let (watchers, watched) = crossbeam_channel::bounded(64);
    let status = Arc::new(Status::default());
    let shown = (Clock::new(), Arc::clone(&status), watchers);
    let keeper = Keeper::start(Door::new(), Box::new(toy.clone()), [from("key")], required, shown);
    (toy, keeper, watched, status)
}

/// Rings, and gives the sentences of the next sight that has some.
fn news(keeper: &Keeper, watched: &Receiver<Sight>) -> Vec<String> {
    Bell(keeper.cables.wishes.clone()).ring();
    loop {
        match watched.recv_timeout(Duration::from_secs(20)).expect("something is shown") {
            Sight::Ports { news, .. } if !news.is_empty() => return news,
            _ => {}
        }
    }
}

#[test]
fn a_port_that_goes_is_missed_and_attached_again_under_its_new_number() {
    let (toy, keeper, watched, status) = keeper(&["Through 14:0", "Keystation 20:0"], true);
    let keeper = keeper.expect("it is there");
    assert_eq!(keeper.cables.ports().attached(Direction::From).collect::<Vec<_>>(), ["Keystation 20:0"]);
    toy.change(|state| drop(state.there[0].pop()));
    assert_eq!(news(&keeper, &watched), ["Keystation 20:0 has gone; waiting for it"]);
    assert_eq!(keeper.cables.ports().cables[0].state, CableState::Gone);
    assert_eq!([&status.ports_missing, &status.ports_lost].map(|count| count.load(Relaxed)), [1, 1]);
    toy.change(|state| state.there[0].push("Keystation 24:0".into()));
    assert_eq!(news(&keeper, &watched), ["Keystation 24:0 is back"]);
    assert_eq!(keeper.cables.ports().cables[0].state, CableState::Attached);
    assert_eq!(status.ports_missing.load(Relaxed), 0);
    assert_eq!(toy.state().done, ["plug Keystation 20:0", "unplug 0", "plug Keystation 24:0"]);
}

#[test]
fn a_port_that_goes_and_comes_back_between_two_looks_is_attached_again() {
    let (toy, keeper, watched, _) = keeper(&["Keystation 20:0"], false);
    let keeper = keeper.expect("it is there");
    toy.change(|state| state.plugged.clear());
    assert_eq!(news(&keeper, &watched), ["Keystation 20:0 has gone; waiting for it", "Keystation 20:0 is back"]);
}

#[test]
fn what_somebody_unplugs_by_hand_is_left_so_until_it_is_asked_for_again() {
    let (toy, keeper, watched, _) = keeper(&["Keystation 20:0"], false);
    let keeper = keeper.expect("it is there");
    toy.state().plugged.clear();
    assert_eq!(news(&keeper, &watched), ["Keystation 20:0 has been unplugged by hand; it is left so"]);
    keeper.cables.attach_from("key");
    assert_eq!(news(&keeper, &watched), ["Keystation 20:0 is attached"]);
}

#[test]
fn a_port_that_is_not_there_is_waited_for_unless_it_is_required() {
    let (toy, keeper, watched, status) = keeper(&[], false);
    let keeper = keeper.expect("it waits");
    assert_eq!(status.ports_missing.load(Relaxed), 1);
    toy.change(|state| state.there[0].push("Keystation 20:0".into()));
    assert_eq!(news(&keeper, &watched), ["Keystation 20:0 is attached"]);
    let (_, required, ..) = super::tests::keeper(&["Through 14:0"], true);
    assert!(matches!(required, Err(PortError::Unknown { .. })));
}

#[test]
fn a_name_that_fits_two_is_refused_at_the_beginning_and_waits_later() {
    let two = ["Keystation 20:0", "Keyboard 24:0"];
    let (_, refused, ..) = keeper(&two, false);
    assert!(matches!(refused, Err(PortError::Ambiguous { .. })));
    let (toy, keeper, watched, _) = keeper(&[], false);
    let keeper = keeper.expect("it waits");
    toy.change(|state| state.there[0] = two.map(String::from).to_vec());
    assert!(news(&keeper, &watched)[0].contains("fits several"));
    toy.change(|state| drop(state.there[0].pop()));
    assert_eq!(news(&keeper, &watched), ["Keystation 20:0 is attached"]);
}

#[test]
fn ports_are_attached_and_detached_while_it_plays() {
    let (toy, keeper, watched, _) = keeper(&["Keystation 20:0"], false);
    let keeper = keeper.expect("it is there");
    toy.state().there[1].push("Synth 30:0".into());
    keeper.cables.attach_to("Synth".parse().expect("a name"));
    assert_eq!(news(&keeper, &watched), ["Synth 30:0 is attached"]);
    keeper.cables.attach_to("Juno".parse().expect("a name"));
    assert!(news(&keeper, &watched)[0].contains("waiting for it"));
    keeper.cables.detach(Direction::From, "Keystation 20:0");
    assert_eq!(news(&keeper, &watched), ["Keystation 20:0 is detached"]);
    keeper.cables.detach(Direction::From, "Keystation 20:0");
    assert!(news(&keeper, &watched)[0].contains("no input port"));
    assert!(toy.state().done.contains(&"remove 0".to_owned()));
    assert_eq!(keeper.cables.ports().cables.len(), 2);
}

#[test]
fn a_system_that_goes_takes_all_cables_with_it_and_brings_them_back() {
    let (toy, keeper, watched, status) = keeper(&["Keystation 20:0"], false);
    let keeper = keeper.expect("it is there");
    toy.state().away = true;
    assert_eq!(news(&keeper, &watched), ["toy has gone; the recording goes on, and it is waited for"]);
    assert!(!keeper.cables.ports().runs && status.system_away.load(Relaxed));
    assert_eq!(keeper.cables.ports().cables[0].state, CableState::Gone);
    toy.state().away = false;
    assert_eq!(news(&keeper, &watched), ["toy is back", "Keystation 20:0 is back"]);
    assert_eq!([&status.systems_lost, &status.ports_lost].map(|count| count.load(Relaxed)), [1, 0]);
    assert_eq!((status.figures.system_away.summary().count, status.system_away.load(Relaxed)), (1, false));
}

#[test]
fn a_system_that_is_not_there_yet_is_waited_for() {
    let toy = Toy::default();
    toy.state().away = true;
    let (watchers, watched) = crossbeam_channel::bounded(64);
    let status = Arc::new(Status::default());
    let shown = (Clock::new(), Arc::clone(&status), watchers);
    let keeper = Keeper::start(Door::new(), Box::new(toy.clone()), [from("key")], false, shown).expect("it waits");
    assert!(!keeper.cables.ports().runs && status.system_away.load(Relaxed));
    toy.change(|state| {
        state.away = false;
        state.there[0].push("Keystation 20:0".into());
    });
    assert_eq!(news(&keeper, &watched), ["toy is there", "Keystation 20:0 is attached"]);
    assert_eq!((status.systems_lost.load(Relaxed), status.figures.system_away.summary().count), (0, 0));
}
