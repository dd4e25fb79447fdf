//! State, settings, controls and figures as JSON.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use crate::control::{Control, ControlError, WORDS};
use crate::figures::Report;
use crate::ports::Direction;
use crate::settings::{SETTINGS, Setting, SettingError};
use crate::shelf::ModelChoice;
use crate::time::SessionTime;

/// Seconds since the session began.
pub(super) fn now(desk: &Desk) -> f64 {
    desk.clock.now().since(SessionTime::ZERO).as_seconds()
}

/// How things stand: the view, the ports, what was heard and played.
pub(super) fn how_things_stand(desk: &Desk) -> Value {
    let mut state = desk.feed.view().to_json();
    let [human, ai] = desk.status.notes();
    let [listening, answering] = &desk.own_ports;
    state["now"] = json!(now(desk));
    state["version"] = json!(env!("CARGO_PKG_VERSION"));
    state["notes"] = json!({ "human": human, "ai": ai });
    state["own_ports"] = json!({ "listening": listening, "answering": answering });
    state["take"] = json!(crate::song_folder::name(&desk.take));
    state["losses"] = json!(desk.status.losses());
    state
}

pub(super) async fn state(State(desk): State<Desk>) -> Json<Value> {
    Json(how_things_stand(&desk))
}

/// What can be asked for by one word.
pub(super) async fn actions() -> Json<Value> {
    Json(WORDS.iter().map(|(name, about, _)| json!({ "name": name, "about": about })).collect())
}

/// The models that can be chosen, with the line that chooses each.
pub(super) async fn models(State(desk): State<Desk>) -> Json<Value> {
    let playing = desk.feed.view().model;
    let described = (desk.models)().list().into_iter().map(|offered| {
        let is_playing = ModelChoice::is_playing(&offered, &playing);
        json!({ "name": offered.name, "control": offered.control, "playing": is_playing })
    });
    Json(described.collect())
}

/// Every setting with what it takes and what it is now.
pub(super) async fn settings(State(desk): State<Desk>) -> Json<Value> {
    let settings = desk.feed.view().settings;
    let described = SETTINGS.iter().map(|setting| {
        let mut described = setting.to_json();
        described["value"] = json!(setting.show(setting.value(&settings)));
        described
    });
    Json(described.collect())
}

#[derive(Deserialize)]
pub(super) struct NewValue {
    value: Value,
}

type Answer = Result<StatusCode, (StatusCode, String)>;

/// A wrong name is not found, a wrong value unprocessable; each with a sentence.
fn refusal(error: &ControlError) -> (StatusCode, String) {
    let unknown = matches!(error, ControlError::Setting(SettingError::Unknown { .. }));
    let status = if unknown { StatusCode::NOT_FOUND } else { StatusCode::UNPROCESSABLE_ENTITY };
    (status, format!("{error}\n"))
}

/// Sets one setting; the value as it is typed, or as a number.
pub(super) async fn set(
    State(desk): State<Desk>,
    Path(name): Path<String>,
    Json(NewValue { value }): Json<NewValue>,
) -> Answer {
    Setting::find(&name).map_err(|error| refusal(&error.into()))?;
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    ask(&desk, &format!("{name}={value}"))
}

#[derive(Deserialize)]
pub(super) struct Line {
    control: String,
}

/// Asks for what a line says, as if it was typed.
pub(super) async fn control(State(desk): State<Desk>, Json(line): Json<Line>) -> Answer {
    ask(&desk, line.control.trim())
}

fn ask(desk: &Desk, line: &str) -> Answer {
    let control = Control::parse(line).map_err(|error| refusal(&error))?;
    desk.controller.ask(control);
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    From,
    To,
}

#[derive(Deserialize)]
pub(super) struct Port {
    direction: Way,
    name: String,
}

/// Wants a port by its name or a part of it, as `--connect-from` and `--connect-to` do.
pub(super) async fn attach(State(desk): State<Desk>, Json(port): Json<Port>) -> Answer {
    let unfit =
        |why: &str| (StatusCode::UNPROCESSABLE_ENTITY, format!("{:?} is no name of a port: {why}\n", port.name));
    if port.name.trim().is_empty() {
        return Err(unfit("it is empty"));
    }
    match port.direction {
        Way::From => desk.cables.attach_from(&port.name),
        Way::To => desk.cables.attach_to(port.name.parse().map_err(|why: String| unfit(&why))?),
    }
    Ok(StatusCode::ACCEPTED)
}

/// Wants a port no longer.
pub(super) async fn detach(State(desk): State<Desk>, Json(port): Json<Port>) -> StatusCode {
    let direction = match port.direction {
        Way::From => Direction::From,
        Way::To => Direction::To,
    };
    desk.cables.detach(direction, &port.name);
    StatusCode::ACCEPTED
}

pub(super) async fn figures(State(desk): State<Desk>) -> Json<Report> {
    Json(Report::new(&desk.status))
}

/// A request's body, as each handler would take it.
#[cfg(any(test, feature = "doors"))]
pub(super) fn door(bytes: &[u8]) {
    if let Ok(NewValue { value }) = serde_json::from_slice(bytes) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for setting in SETTINGS {
            crate::doors::typed(&format!("{}={value}", setting.name));
        }
    }
    if let Ok(Line { control }) = serde_json::from_slice(bytes) {
        crate::doors::typed(control.trim());
    }
    if let Ok(Port { name, .. }) = serde_json::from_slice(bytes) {
        let _ = name.parse::<crate::ports::Destination>();
    }
}
