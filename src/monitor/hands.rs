//! What the person at the monitor does: keys become wishes.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::link::{List, Wish};
use super::painting::Window;
use super::scene::Scene;
use super::wire::{Described, Kind};
use crate::ports::{CableState, Direction};

/// Letters that a typed value may have.
const LONGEST_TYPED: usize = 60;

/// What the lower part of the screen shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// Everything that can be set.
    #[default]
    Settings,
    /// How well time is kept.
    Timing,
    /// Ports that are attached, and those that could be.
    Ports,
    /// What knobs, keys and pedals mean.
    Knobs,
    /// What was recorded.
    Takes,
    /// Which model plays, and which others could.
    Models,
}

impl Pane {
    /// All of them, in the order of their numbers, from 1.
    pub const ALL: [Self; 6] = [Self::Settings, Self::Timing, Self::Ports, Self::Knobs, Self::Takes, Self::Models];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Settings => "Settings",
            Self::Timing => "Timing",
            Self::Ports => "Ports",
            Self::Knobs => "Knobs",
            Self::Takes => "Takes",
            Self::Models => "Models",
        }
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|pane| *pane == self).unwrap_or_default()
    }
}

/// Actions by their keys, and what they are called.
pub(super) const ACTIONS: [(char, &str, &str); 4] = [
    ('h', "hand-over", "hand over"),
    ('t', "take-back", "take back"),
    ('p', "panic", "panic"),
    ('s', "split-take", "split take"),
];

/// What is to be done after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more.
    Stay,
    /// This is asked for.
    Wish(Wish),
    /// The monitor ends.
    Leave,
    /// The monitor gives the terminal back to the shell for a while.
    Suspend,
}

/// A row of the pane with the ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PortRow {
    /// One that is wanted: its place among the cables.
    Cable(usize),
    /// One that is there and could be attached.
    Free(Direction, String),
}

/// What the person is about.
#[derive(Debug, Default)]
pub struct Hands {
    pub(super) pane: Pane,
    chosen: [usize; Pane::ALL.len()],
    /// A value that is being typed.
    pub(super) typed: Option<String>,
    /// The take that is about to be deleted, if the answer is yes.
    pub(super) deleting: Option<String>,
    pub(super) help: bool,
    pub(super) window: Window,
}

impl Hands {
    /// The row that is chosen among so many.
    pub(super) fn row(&self, rows: usize) -> usize {
        self.chosen[self.pane.place()].min(rows.saturating_sub(1))
    }

    /// Takes a key.
    pub fn press(&mut self, key: KeyEvent, scene: &Scene) -> Outcome {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Outcome::Leave,
            KeyCode::Char('z') if control => return Outcome::Suspend,
            _ if control || key.modifiers.contains(KeyModifiers::ALT) => return Outcome::Stay,
            _ => {}
        }
        if self.typed.is_some() {
            return self.type_on(key.code, scene);
        }
        if let Some(name) = self.deleting.take() {
            let yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
            return if yes { Outcome::Wish(Wish::Delete(name)) } else { Outcome::Stay };
        }
        if std::mem::take(&mut self.help) {
            return Outcome::Stay;
        }
        self.command(key, scene)
    }

    fn command(&mut self, key: KeyEvent, scene: &Scene) -> Outcome {
        let rows = self.rows(scene);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Outcome::Leave,
            KeyCode::Char('?') | KeyCode::F(1) => self.help = true,
            KeyCode::Tab => self.turn_to(self.pane.place() + 1),
            KeyCode::BackTab => self.turn_to(self.pane.place() + Pane::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='6') => self.turn_to(digit as usize - '1' as usize),
            KeyCode::Up | KeyCode::Char('k') => self.choose(rows, |row| row.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.choose(rows, |row| row + 1),
            KeyCode::PageUp => self.choose(rows, |row| row.saturating_sub(10)),
            KeyCode::PageDown => self.choose(rows, |row| row + 10),
            KeyCode::Home => self.choose(rows, |_| 0),
            KeyCode::End => self.choose(rows, |_| usize::MAX),
            KeyCode::Char('m') => return next_mode(scene),
            KeyCode::Char('b') => return asking(if scene.playing.is_some() { "stop-take" } else { "play-take" }),
            KeyCode::Char(letter) if ACTIONS.iter().any(|(key, ..)| *key == letter) => {
                let action = ACTIONS.iter().find(|(key, ..)| *key == letter).map(|(_, action, _)| *action);
                return action.map_or(Outcome::Stay, asking);
            }
            KeyCode::Char('l') if scene.knobs.learning.is_some() => return asking("stop-learning"),
            code => return self.in_pane(code, key.modifiers, scene),
        }
        Outcome::Stay
    }

    fn in_pane(&mut self, code: KeyCode, modifiers: KeyModifiers, scene: &Scene) -> Outcome {
        let row = self.row(self.rows(scene));
        match self.pane {
            Pane::Settings => {
                let Some(setting) = scene.settings.get(row) else { return Outcome::Stay };
                let steps = if modifiers.contains(KeyModifiers::SHIFT) { 10 } else { 1 };
                match code {
                    KeyCode::Left | KeyCode::Char('-') => set(setting, stepped(setting, scene, -steps)),
                    KeyCode::Right | KeyCode::Char('+') => set(setting, stepped(setting, scene, steps)),
                    KeyCode::Backspace | KeyCode::Delete | KeyCode::Char('d') => {
                        set(setting, Some(setting.default.clone()))
                    }
                    KeyCode::Enter => {
                        self.typed = Some(String::new());
                        Outcome::Stay
                    }
                    KeyCode::Char('l') => Outcome::Wish(Wish::Control(format!("learn {}", setting.name))),
                    _ => Outcome::Stay,
                }
            }
            Pane::Timing => Outcome::Stay,
            Pane::Ports => match (code, port_rows(scene).get(row)) {
                (KeyCode::Enter, Some(row)) => turn_over(row, scene),
                _ => Outcome::Stay,
            },
            Pane::Knobs => match (code, scene.knobs.map.get(row)) {
                (KeyCode::Backspace | KeyCode::Delete | KeyCode::Char('x'), Some(knob)) => {
                    asking(&format!("forget {}", knob.message))
                }
                _ => Outcome::Stay,
            },
            Pane::Takes => match (code, scene.takes.get(row)) {
                (KeyCode::Backspace | KeyCode::Delete | KeyCode::Char('x'), Some(take)) if !take.recording => {
                    self.deleting = Some(take.name.clone());
                    Outcome::Stay
                }
                (KeyCode::Enter, Some(take)) if scene.playing.as_ref() == Some(&take.name) => asking("stop-take"),
                (KeyCode::Enter, Some(take)) => asking(&format!("play-take {}", take.name)),
                (KeyCode::Char('r'), _) => Outcome::Wish(Wish::Look(List::Takes)),
                _ => Outcome::Stay,
            },
            Pane::Models => match (code, scene.models.get(row)) {
                (KeyCode::Enter, Some(model)) => asking(&model.control),
                (KeyCode::Char('r'), _) => Outcome::Wish(Wish::Look(List::Models)),
                _ => Outcome::Stay,
            },
        }
    }

    fn type_on(&mut self, code: KeyCode, scene: &Scene) -> Outcome {
        let Some(typed) = &mut self.typed else { return Outcome::Stay };
        match code {
            KeyCode::Esc => self.typed = None,
            KeyCode::Backspace => drop(typed.pop()),
            KeyCode::Char(letter) if typed.len() < LONGEST_TYPED => typed.push(letter),
            KeyCode::Enter => {
                let value = self.typed.take().unwrap_or_default();
                let setting = scene.settings.get(self.row(scene.settings.len()));
                return match (setting, value.trim()) {
                    (Some(setting), value) if !value.is_empty() => set(setting, Some(value.to_owned())),
                    _ => Outcome::Stay,
                };
            }
            _ => {}
        }
        Outcome::Stay
    }

    fn turn_to(&mut self, place: usize) {
        self.pane = Pane::ALL[place % Pane::ALL.len()];
    }

    fn choose(&mut self, rows: usize, to: impl Fn(usize) -> usize) {
        self.chosen[self.pane.place()] = to(self.row(rows)).min(rows.saturating_sub(1));
    }

    fn rows(&self, scene: &Scene) -> usize {
        match self.pane {
            Pane::Settings => scene.settings.len(),
            Pane::Timing => 0,
            Pane::Ports => port_rows(scene).len(),
            Pane::Knobs => scene.knobs.map.len(),
            Pane::Takes => scene.takes.len(),
            Pane::Models => scene.models.len(),
        }
    }
}

/// The ports that are wanted, then those that are free.
pub(super) fn port_rows(scene: &Scene) -> Vec<PortRow> {
    let ports = &scene.ports;
    let free = |direction: Direction, names: &[String]| {
        let taken: Vec<&str> = ports.attached(direction).collect();
        let names: Vec<String> = names.iter().filter(|name| !taken.contains(&name.as_str())).cloned().collect();
        names.into_iter().map(move |name| PortRow::Free(direction, name))
    };
    let wanted = (0..ports.cables.len()).map(PortRow::Cable);
    wanted.chain(free(Direction::From, &ports.from)).chain(free(Direction::To, &ports.to)).collect()
}

/// Attaches what is free or was unplugged; detaches what is wanted.
fn turn_over(row: &PortRow, scene: &Scene) -> Outcome {
    let wish = match row {
        PortRow::Free(direction, name) => Wish::Cable { direction: *direction, name: name.clone(), wanted: true },
        PortRow::Cable(place) => {
            let Some(cable) = scene.ports.cables.get(*place) else { return Outcome::Stay };
            let wanted = cable.state == CableState::Unplugged;
            Wish::Cable { direction: cable.direction, name: cable.name.clone(), wanted }
        }
    };
    Outcome::Wish(wish)
}

fn asking(line: &str) -> Outcome {
    Outcome::Wish(Wish::Control(line.to_owned()))
}

fn set(setting: &Described, value: Option<String>) -> Outcome {
    value.map_or(Outcome::Stay, |value| asking(&format!("{} {value}", setting.name)))
}

fn next_mode(scene: &Scene) -> Outcome {
    let mode = scene.settings.iter().find(|row| row.name == "mode");
    mode.map_or(Outcome::Stay, |mode| {
        let choices = mode.choices.as_deref().unwrap_or_default();
        let now = choices.iter().position(|choice| *choice == mode.value).unwrap_or_default();
        set(mode, choices.get((now + 1) % choices.len().max(1)).cloned())
    })
}

/// The value so many steps further; `None` at the end of the way.
fn stepped(setting: &Described, scene: &Scene, steps: i32) -> Option<String> {
    let names: &[String] = match (setting.kind, &setting.choices) {
        _ if setting.name == "style" => &scene.styles,
        (Kind::Choice, Some(choices)) => choices,
        _ => &[],
    };
    if !names.is_empty() {
        let now = names.iter().position(|name| name == scene.shown(setting)).unwrap_or_default();
        let next = now.checked_add_signed(isize::try_from(steps.signum()).ok()?)?;
        return names.get(next).cloned();
    }
    let now: f64 = setting.value.parse().ok()?;
    let step = if setting.kind == Kind::Whole { 1.0 } else { step(setting, now) };
    let to = ((now / step).round() + f64::from(steps)) * step;
    // Counted things below the first step of their raster begin at their least value.
    let to = to.clamp(setting.low, setting.high);
    (to != now).then(|| shown(to, step))
}

/// How far a key moves a number: a step that reads well, 1, 2 or 5 and zeros. A range over decades has steps that grow.
fn step(setting: &Described, now: f64) -> f64 {
    let spans_decades = setting.low > 0.0 && setting.high / setting.low >= 100.0;
    let wanted = if spans_decades { now.max(setting.low) * 0.05 } else { (setting.high - setting.low) / 100.0 };
    if !wanted.is_normal() || wanted < 0.0 {
        return 1.0;
    }
    let decade = 10f64.powf(wanted.log10().floor());
    let digit = [5.0, 2.0].into_iter().find(|digit| digit * decade <= wanted * 1.000_001);
    digit.unwrap_or(1.0) * decade
}

/// A number with the decimals of its step.
fn shown(value: f64, step: f64) -> String {
    let decimals = (0..6).find(|decimals| (step * 10f64.powi(*decimals)).fract() < 1e-6).unwrap_or(6);
    let text = format!("{value:.*}", usize::try_from(decimals).unwrap_or_default());
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::super::link::Word;
    use super::super::scene::tests::{scene, sights};
    use super::*;

    fn press(hands: &mut Hands, scene: &Scene, code: KeyCode) -> Outcome {
        hands.press(KeyEvent::new(code, KeyModifiers::NONE), scene)
    }

    fn line(outcome: &Outcome) -> &str {
        match outcome {
            Outcome::Wish(Wish::Control(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    fn choose(hands: &mut Hands, scene: &Scene, name: &str) {
        press(hands, scene, KeyCode::Home);
        let place = scene.settings.iter().position(|row| row.name == name).expect("known");
        for _ in 0..place {
            press(hands, scene, KeyCode::Down);
        }
    }

    #[test]
    fn keys_ask_for_actions() {
        let scene = scene(Instant::now(), json!([]));
        let mut hands = Hands::default();
        for (key, wanted) in [
            ('h', "hand-over"),
            ('t', "take-back"),
            ('p', "panic"),
            ('s', "split-take"),
            ('b', "play-take"),
            ('m', "mode accompany"),
            ('l', "learn mode"),
        ] {
            assert_eq!(line(&press(&mut hands, &scene, KeyCode::Char(key))), wanted);
        }
        assert_eq!(press(&mut hands, &scene, KeyCode::Char('q')), Outcome::Leave);
        let held = |key| KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
        assert_eq!(hands.press(held('c'), &scene), Outcome::Leave);
        assert_eq!(hands.press(held('z'), &scene), Outcome::Suspend);
        assert_eq!(hands.press(held('p'), &scene), Outcome::Stay, "panic is p alone");
        press(&mut hands, &scene, KeyCode::Char('?'));
        assert!(hands.help);
        assert_eq!(
            press(&mut hands, &scene, KeyCode::Char('p')),
            Outcome::Stay,
            "any key closes the help, and does no more"
        );
    }

    #[test]
    fn arrows_move_settings_by_steps_that_read_well_and_stop_at_the_ends() {
        let here = Instant::now();
        let mut scene = scene(here, json!([]));
        let mut hands = Hands::default();
        for (name, at, right, left) in [
            ("mode", "respond", Some("accompany"), None),
            ("patience", "1.5", Some("1.6"), Some("1.4")),
            ("patience", "9.97", Some("10"), Some("9.9")),
            ("temperature", "1", Some("1.05"), Some("0.95")),
            ("temperature", "4", None, Some("3.8")),
            ("density", "50", Some("52"), Some("48")),
            ("top-p", "0.97", Some("0.98"), Some("0.96")),
            ("polyphony", "1", Some("2"), None),
            ("style", "0", Some("folk"), None),
            ("style", "folk", Some("chorale"), Some("any")),
            ("style", "2", None, Some("folk")),
        ] {
            scene.take_in(
                here,
                sights(100.0, json!([{ "event": "control", "at": 1.0, "control": format!("{name} {at}") }])),
            );
            choose(&mut hands, &scene, name);
            for (key, wanted) in [(KeyCode::Right, right), (KeyCode::Left, left)] {
                let outcome = press(&mut hands, &scene, key);
                match wanted {
                    Some(wanted) => assert_eq!(line(&outcome), format!("{name} {wanted}"), "from {at}"),
                    None => assert_eq!(outcome, Outcome::Stay, "{name} {at}"),
                }
            }
        }
        choose(&mut hands, &scene, "temperature");
        assert_eq!(line(&press(&mut hands, &scene, KeyCode::Backspace)), "temperature 1");
        for row in &scene.settings {
            // Whatever the daemon is asked for, it takes.
            for steps in [-10, -1, 1, 10] {
                if let Some(value) = stepped(row, &scene, steps).filter(|_| row.name != "style") {
                    crate::control::Control::parse(&format!("{} {value}", row.name)).expect("a value of it");
                }
            }
        }
    }

    #[test]
    fn a_value_can_be_typed_and_typing_presses_no_other_key() {
        let scene = scene(Instant::now(), json!([]));
        let mut hands = Hands::default();
        choose(&mut hands, &scene, "patience");
        press(&mut hands, &scene, KeyCode::Enter);
        for letter in "2.5pq".chars() {
            assert_eq!(press(&mut hands, &scene, KeyCode::Char(letter)), Outcome::Stay);
        }
        press(&mut hands, &scene, KeyCode::Backspace);
        press(&mut hands, &scene, KeyCode::Backspace);
        assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "patience 2.5");
        press(&mut hands, &scene, KeyCode::Enter);
        assert_eq!(press(&mut hands, &scene, KeyCode::Esc), Outcome::Stay, "leaves the typing, not the monitor");
        press(&mut hands, &scene, KeyCode::Enter);
        assert_eq!(press(&mut hands, &scene, KeyCode::Enter), Outcome::Stay, "nothing typed");
    }

    #[test]
    fn ports_are_attached_and_detached_knobs_forgotten_and_takes_deleted_after_a_yes() {
        let here = Instant::now();
        let mut scene = scene(here, json!([]));
        scene.take_in(
            here,
            Word::Takes(json!([
                { "name": "AI_generated.mid", "bytes": 1, "notes": 2, "milliseconds": 3, "modified": 4, "recording": true },
                { "name": "old.mid", "bytes": 1, "notes": 2, "milliseconds": 3, "modified": 4, "recording": false },
            ])),
        );
        let mut hands = Hands::default();
        let cable = |direction, name: &str, wanted| Outcome::Wish(Wish::Cable { direction, name: name.into(), wanted });
        press(&mut hands, &scene, KeyCode::Char('3'));
        assert_eq!(press(&mut hands, &scene, KeyCode::Enter), cable(Direction::From, "Key", false));
        press(&mut hands, &scene, KeyCode::End);
        assert_eq!(press(&mut hands, &scene, KeyCode::Enter), cable(Direction::To, "Juno", true));
        press(&mut hands, &scene, KeyCode::Tab);
        assert_eq!(line(&press(&mut hands, &scene, KeyCode::Char('x'))), "forget cc20");
        press(&mut hands, &scene, KeyCode::Tab);
        assert_eq!(press(&mut hands, &scene, KeyCode::Char('x')), Outcome::Stay);
        assert_eq!(hands.deleting, None, "the one that is recorded");
        press(&mut hands, &scene, KeyCode::Down);
        assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "play-take old.mid");
        scene.take_in(here, sights(100.0, json!([{ "event": "playback", "at": 1.0, "take": "old.mid" }])));
        for key in [KeyCode::Enter, KeyCode::Char('b')] {
            assert_eq!(line(&press(&mut hands, &scene, key)), "stop-take");
        }
        press(&mut hands, &scene, KeyCode::Char('x'));
        assert_eq!(press(&mut hands, &scene, KeyCode::Char('n')), Outcome::Stay);
        press(&mut hands, &scene, KeyCode::Char('x'));
        assert_eq!(press(&mut hands, &scene, KeyCode::Char('y')), Outcome::Wish(Wish::Delete("old.mid".into())));
    }

    #[test]
    fn a_model_is_chosen_by_the_line_that_chooses_it() {
        let scene = scene(Instant::now(), json!([]));
        let mut hands = Hands::default();
        press(&mut hands, &scene, KeyCode::Char('6'));
        assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "model 1");
        press(&mut hands, &scene, KeyCode::Down);
        assert_eq!(line(&press(&mut hands, &scene, KeyCode::Enter)), "model jazz.onnx");
        assert_eq!(press(&mut hands, &scene, KeyCode::Char('r')), Outcome::Wish(Wish::Look(List::Models)));
    }
}
