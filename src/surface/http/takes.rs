//! The takes in the folder that is recorded to: listed, fetched, played back, deleted. The one being recorded is not
//! deleted.

use std::fs;
use std::path::PathBuf;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use crate::control::Control;
use crate::midi_file::read_notes;
use crate::playback::Playing;
use crate::session_file::beside;
use crate::song_folder::name;
use crate::takes;

/// Most takes that are listed, newest first.
const LISTED: usize = 200;

pub(super) async fn list(State(desk): State<Desk>) -> Json<Value> {
    let described = takes::list(&desk.take).into_iter().take(LISTED).map(|take| {
        let notes = read_notes(&take.path).unwrap_or_default();
        let end = notes.iter().map(|note| (note.onset + note.duration).as_micros()).max().unwrap_or(0);
        let since = take.modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        json!({
            "name": name(&take.path), "bytes": fs::metadata(&take.path).map_or(0, |data| data.len()),
            "notes": notes.len(), "milliseconds": end / 1000, "modified": since.as_secs(),
            "recording": name(&take.path) == name(&desk.take),
        })
    });
    Json(described.collect())
}

fn find(desk: &Desk, wanted: &str) -> Result<PathBuf, (StatusCode, String)> {
    takes::find(&desk.take, wanted).ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no take {wanted:?}\n")))
}

/// What is played back: its name, when it began and how long it is; or null.
pub(super) async fn playing(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.feed.view().playing.as_ref().map_or(Value::Null, Playing::to_json))
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    take: Option<String>,
}

/// Plays a take back through the output, the newest one where none is named.
pub(super) async fn play(
    State(desk): State<Desk>,
    Json(Wanted { take }): Json<Wanted>,
) -> Result<StatusCode, (StatusCode, String)> {
    if let Some(take) = &take {
        find(&desk, take)?;
    }
    desk.controller.ask(Control::PlayTake(take.map(Into::into)));
    Ok(StatusCode::ACCEPTED)
}

/// Plays no take back any more.
pub(super) async fn stop(State(desk): State<Desk>) -> StatusCode {
    desk.controller.ask(Control::StopTake);
    StatusCode::ACCEPTED
}

pub(super) async fn download(
    State(desk): State<Desk>,
    Path(wanted): Path<String>,
) -> Result<impl IntoResponse, (StatusCode, String)> {
    let path = find(&desk, &wanted)?;
    let bytes = fs::read(&path).map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, format!("{wanted}: {why}\n")))?;
    // Names with quotes or control characters are of no browser's liking.
    let plain: String =
        wanted.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    Ok((
        [(CONTENT_TYPE, "audio/midi".to_owned()), (CONTENT_DISPOSITION, format!("attachment; filename=\"{plain}\""))],
        bytes,
    ))
}

pub(super) async fn delete(
    State(desk): State<Desk>,
    Path(wanted): Path<String>,
) -> Result<StatusCode, (StatusCode, String)> {
    let path = find(&desk, &wanted)?;
    if name(&path) == name(&desk.take) {
        return Err((StatusCode::CONFLICT, "this take is being recorded; it can be deleted when it is over\n".into()));
    }
    fs::remove_file(&path).map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, format!("{wanted}: {why}\n")))?;
    // The session file goes with its take; there may be none.
    let _ = fs::remove_file(beside(&path));
    Ok(StatusCode::NO_CONTENT)
}
