//! The addresses that are listened to, made from the tables of settings and of what can be asked for.

use std::sync::Arc;

use rosc::{OscMessage, OscType};

use super::pattern::Pattern;
use crate::control::{Control, WORDS};
use crate::settings::{Change, SETTINGS, Setting, Values};

/// What an address is for.
#[derive(Clone, Debug)]
pub(super) enum Method {
    /// A value as it is typed.
    Set(&'static Setting),
    /// A place in the setting's range, from 0 to 1.
    Knob(&'static Setting),
    /// A button that asks for this.
    Press(Control),
    /// A style by its name or number.
    Style,
    /// A model by its number.
    Model,
    /// A line as it is typed.
    Line,
    /// A question.
    Tell(Topic),
    /// To be told what happens.
    Subscribe,
    /// No more of that.
    Unsubscribe,
}

/// What can be asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Topic {
    /// The value of a setting.
    Setting(&'static Setting),
    /// Whose turn it is.
    Turn,
    /// Which model plays, in which style, and the styles that it knows.
    Model,
    /// How well time is kept.
    Figures,
}

/// What a message asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Something of the session.
    Control(Control),
    /// An answer to the sender.
    Tell(Topic),
    /// To be told what happens, on this port of theirs.
    Subscribe(Option<u16>),
    /// No more of that.
    Unsubscribe(Option<u16>),
}

/// One address that is listened to.
pub(super) struct Address {
    pub path: String,
    pub method: Method,
}

/// Every address that is listened to, in the order of the list.
pub struct Addresses {
    pub(super) known: Vec<Address>,
}

impl Default for Addresses {
    fn default() -> Self {
        let mut known = Vec::new();
        let mut add = |path: String, method| known.push(Address { path: format!("/antiphon/{path}"), method });
        for (word, _, control) in WORDS {
            add((*word).to_owned(), Method::Press(control.clone()));
        }
        add("style".into(), Method::Style);
        add("model".into(), Method::Model);
        add("ask".into(), Method::Line);
        for setting in SETTINGS {
            add(format!("set/{}", setting.name), Method::Set(setting));
        }
        for setting in SETTINGS {
            add(format!("knob/{}", setting.name), Method::Knob(setting));
        }
        for setting in SETTINGS {
            add(format!("get/{}", setting.name), Method::Tell(Topic::Setting(setting)));
        }
        for (topic, asked) in [("turn", Topic::Turn), ("model", Topic::Model), ("figures", Topic::Figures)] {
            add(format!("get/{topic}"), Method::Tell(asked));
        }
        add("subscribe".into(), Method::Subscribe);
        add("unsubscribe".into(), Method::Unsubscribe);
        Self { known }
    }
}

impl Addresses {
    /// What a message asks for: nothing when it is a button let go, several things when its address is a pattern.
    ///
    /// # Errors
    /// One sentence, when no address is meant or one does not take what it was given; then nothing is to be done.
    pub fn understand(&self, message: &OscMessage) -> Result<Vec<Request>, String> {
        let nobody = || format!("nothing listens to {:?}; `antiphon settings --osc` lists all addresses", message.addr);
        let pattern = Pattern::parse(&message.addr).ok_or_else(nobody)?;
        let mut meant = self.known.iter().filter(|address| pattern.matches(&address.path)).peekable();
        meant.peek().ok_or_else(nobody)?;
        let mut requests = Vec::new();
        for Address { path, method } in meant {
            let understood = method.takes(&message.args).map_err(|why| format!("{path} {why}"))?;
            requests.extend(understood);
        }
        Ok(requests)
    }
}

impl Method {
    /// What the arguments ask of it.
    fn takes(&self, arguments: &[OscType]) -> Result<Option<Request>, String> {
        let one = || match arguments {
            [one] => Ok(one),
            _ => Err(format!("takes one value, not {}", arguments.len())),
        };
        Ok(Some(match self {
            Self::Set(setting) if setting.name == "style" => Request::Control(style(one()?)?),
            Self::Set(setting) => Request::Control(Control::Set(value(setting, one()?)?)),
            Self::Knob(setting) => {
                let place = number(one()?).filter(|place| (0.0..=1.0).contains(place));
                let place = place.ok_or("takes a number from 0 to 1")?;
                let (low, high) = setting.range();
                Request::Control(Control::Set(setting.between(low, high, place)))
            }
            Self::Press(control) => match pressed(arguments)? {
                true => Request::Control(control.clone()),
                false => return Ok(None),
            },
            Self::Style => Request::Control(style(one()?)?),
            Self::Model => {
                let number = number(one()?).filter(|number| number.fract() == 0.0);
                let number = number.ok_or("takes the number of a model, from 1")?;
                Request::Control(Control::parse(&format!("model {number}")).map_err(|error| error.to_string())?)
            }
            Self::Line => match text(one()?) {
                Some(line) => Request::Control(Control::parse(&line).map_err(|error| error.to_string())?),
                None => return Err("takes a line as it is typed, such as \"patience 2\"".into()),
            },
            Self::Tell(topic) => Request::Tell(*topic),
            Self::Subscribe => Request::Subscribe(port(arguments)?),
            Self::Unsubscribe => Request::Unsubscribe(port(arguments)?),
        }))
    }
}

/// A setting's value: a number, the name of a choice, on or off. A fader's number goes to the nearest step.
fn value(setting: &'static Setting, argument: &OscType) -> Result<Change, String> {
    let switched = |on: &bool| match setting.values {
        Values::Choice(names) => {
            let wanted = if *on { "on" } else { "off" };
            names.contains(&wanted).then(|| setting.parse(wanted).ok()).flatten()
        }
        Values::Number { .. } | Values::Whole { .. } => None,
    };
    let change = match argument {
        OscType::Bool(on) => switched(on),
        _ => match text(argument) {
            Some(text) => setting.parse(&text).ok(),
            None => number(argument).and_then(|number| {
                let steps = !matches!(setting.values, Values::Number { .. });
                setting.change(if steps { number.round() } else { number })
            }),
        },
    };
    change.ok_or_else(|| format!("takes {}, not {}", setting.values, shown(argument)))
}

/// A style by its name or number.
fn style(argument: &OscType) -> Result<Control, String> {
    let style = Setting::find("style").map_err(|error| error.to_string())?;
    match text(argument) {
        Some(name) if name.is_empty() => Err("takes a name or a number".into()),
        Some(name) if name.parse::<f32>().is_err() => Ok(Control::Style(Arc::from(name))),
        _ => value(style, argument).map(Control::Set),
    }
}

/// Whether a button went down: with no value, true, or a number from a half on, as buttons of touch screens send 1 and
/// then 0.
fn pressed(arguments: &[OscType]) -> Result<bool, String> {
    match arguments {
        [] | [OscType::Nil | OscType::Inf] => Ok(true),
        [OscType::Bool(down)] => Ok(*down),
        [one] => match number(one) {
            Some(number) => Ok(number >= 0.5),
            None => Err(format!("takes nothing, or 1 and 0 as from a button, not {}", shown(one))),
        },
        _ => Err(format!("takes one value or none, not {}", arguments.len())),
    }
}

/// The port on which somebody wants to be told, if they name one.
fn port(arguments: &[OscType]) -> Result<Option<u16>, String> {
    let wrong = || "takes a port from 1 to 65535, or nothing".to_owned();
    match arguments {
        [] => Ok(None),
        [OscType::Int(port)] => u16::try_from(*port).ok().filter(|port| *port > 0).map(Some).ok_or_else(wrong),
        [one] => {
            let port = text(one).or_else(|| number(one).map(|number| number.to_string()));
            port.and_then(|port| port.parse().ok()).filter(|port| *port > 0).map(Some).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// A number of any kind that OSC has; `None` when it is none, or not finite.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "no setting needs more digits")]
fn number(argument: &OscType) -> Option<f32> {
    let number = match argument {
        OscType::Int(number) => *number as f32,
        OscType::Long(number) => *number as f32,
        OscType::Float(number) => *number,
        OscType::Double(number) => *number as f32,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn text(argument: &OscType) -> Option<String> {
    match argument {
        OscType::String(text) => Some(text.clone()),
        OscType::Char(character) => Some(character.to_string()),
        _ => None,
    }
}

/// An argument as it is told back: never longer than a line.
fn shown(argument: &OscType) -> String {
    match argument {
        OscType::String(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        OscType::Bool(on) => on.to_string(),
        other => number(other).map_or_else(|| "that kind of value".into(), |number| number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use rosc::OscArray;

    use super::*;

    fn understood(address: &str, arguments: Vec<OscType>) -> Result<Vec<String>, String> {
        let requests = Addresses::default().understand(&OscMessage { addr: address.into(), args: arguments })?;
        let shown = |request| match request {
            Request::Control(control) => control.to_string(),
            other => format!("{other:?}"),
        };
        Ok(requests.into_iter().map(shown).collect())
    }

    fn controls(address: &str, argument: impl Into<OscType>) -> Vec<String> {
        understood(address, vec![argument.into()]).expect("understood")
    }

    #[test]
    fn a_value_may_come_as_any_kind_of_number_or_as_text() {
        for argument in [OscType::Int(2), OscType::Long(2), OscType::Float(2.0), OscType::Double(2.0), "2".into()] {
            assert_eq!(controls("/antiphon/set/patience", argument), ["patience 2"]);
        }
        assert_eq!(controls("/antiphon/set/mode", "solo"), ["mode solo"]);
        assert_eq!(controls("/antiphon/set/mode", 2), ["mode solo"]);
        assert_eq!(controls("/antiphon/set/mode", 1.8f32), ["mode solo"], "a fader between two steps");
        assert_eq!(controls("/antiphon/set/lowest-key", 47.6f32), ["lowest-key 48"]);
        assert_eq!(controls("/antiphon/set/scale-root", 'D'), ["scale-root D"]);
        assert_eq!(controls("/antiphon/set/thru", true), ["thru on"]);
        assert_eq!(controls("/antiphon/set/thru", 0.0f32), ["thru off"]);
        assert_eq!(controls("/antiphon/set/barge-in", false), ["barge-in off"]);
        assert_eq!(controls("/antiphon/knob/patience", 0.5f32), ["patience 5"]);
        assert_eq!(controls("/antiphon/knob/mode", 1), ["mode listen"]);
    }

    #[test]
    fn buttons_act_when_they_go_down() {
        for arguments in
            [vec![], vec![1.into()], vec![1.0f32.into()], vec![true.into()], vec![OscType::Inf], vec![OscType::Nil]]
        {
            assert_eq!(understood("/antiphon/hand-over", arguments).expect("a press"), ["hand-over"]);
        }
        for arguments in [vec![0.into()], vec![0.0f32.into()], vec![false.into()]] {
            assert!(understood("/antiphon/hand-over", arguments).expect("a release").is_empty());
        }
    }

    #[test]
    fn every_action_and_setting_has_its_address() {
        for (word, _, _) in WORDS {
            assert_eq!(understood(&format!("/antiphon/{word}"), vec![]).expect("known"), [*word]);
        }
        for setting in SETTINGS {
            for (kind, argument) in [("set", setting.default), ("knob", 0.0)] {
                let asked = controls(&format!("/antiphon/{kind}/{}", setting.name), argument);
                assert_eq!(asked[0].split(' ').next(), Some(setting.name));
            }
            assert_eq!(understood(&format!("/antiphon/get/{}", setting.name), vec![]).expect("known").len(), 1);
        }
        let mut paths: Vec<_> = Addresses::default().known.into_iter().map(|address| address.path).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count, "no address twice");
        assert!(
            paths.iter().flat_map(|path| path.split('/')).all(|part| part.len() <= super::super::pattern::LONGEST_PART)
        );
    }

    #[test]
    fn styles_go_by_name_or_number_and_models_by_number() {
        assert_eq!(controls("/antiphon/style", "folk"), ["style folk"]);
        assert_eq!(controls("/antiphon/set/style", "folk"), ["style folk"]);
        assert_eq!(controls("/antiphon/style", 2), ["style 2"]);
        assert_eq!(controls("/antiphon/model", 2.0f32), ["model 2"]);
        assert_eq!(controls("/antiphon/ask", "patience 2"), ["patience 2"]);
    }

    #[test]
    fn a_pattern_asks_for_all_that_it_means() {
        let asked = understood("/antiphon/set/{softest,loudest}", vec![64.into()]).expect("both");
        assert_eq!(asked, ["softest 64", "loudest 64"]);
        assert_eq!(understood("/antiphon/get/*", vec![]).expect("all").len(), SETTINGS.len() + 3);
    }

    #[test]
    fn nonsense_is_refused_with_what_to_do() {
        let list = OscType::Array(OscArray { content: vec![] });
        for (address, arguments, says) in [
            ("/antiphon/set/patience", vec![OscType::Float(f32::NAN)], "from 0 to 10"),
            ("/antiphon/set/patience", vec![OscType::Float(11.0)], "from 0 to 10"),
            ("/antiphon/set/patience", vec![], "one value"),
            ("/antiphon/set/patience", vec![true.into()], "from 0 to 10"),
            ("/antiphon/set/patience", vec![list], "from 0 to 10"),
            ("/antiphon/set/mode", vec!["loud".into()], "respond, accompany"),
            ("/antiphon/set/lowest-key", vec![128.into()], "from 0 to 127"),
            ("/antiphon/knob/patience", vec![1.5f32.into()], "from 0 to 1"),
            ("/antiphon/hand-over", vec!["now".into()], "1 and 0"),
            ("/antiphon/model", vec![0.into()], "counted from 1"),
            ("/antiphon/model", vec![1.5f32.into()], "from 1"),
            ("/antiphon/ask", vec!["patince 2".into()], "patience"),
            ("/antiphon/style", vec!["".into()], "a name"),
            ("/antiphon/subscribe", vec![70_000.into()], "65535"),
            ("/antiphon/set/pateince", vec![1.into()], "settings --osc"),
            ("/other/panic", vec![], "settings --osc"),
            ("/antiphon/[", vec![], "settings --osc"),
        ] {
            let error = understood(address, arguments).expect_err("nonsense");
            assert!(error.contains(says), "{address}: {error}");
        }
    }
}
