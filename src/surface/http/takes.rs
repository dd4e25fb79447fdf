//! The takes in the folder that is recorded to: listed, fetched, deleted. The one being recorded is left alone.

use std::fs;
use std::path::{Path as FilePath, PathBuf};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::Desk;
use crate::midi_file::read_notes;
use crate::session_file::beside;
use crate::song_folder::{entries, is_midi, name};

/// Most takes that are listed, newest first.
const LISTED: usize = 200;

/// The takes: the one that is recorded, and what lies beside it under its name with a time behind.
fn takes(current: &FilePath) -> Vec<PathBuf> {
    let folder = current.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(FilePath::new("."));
    let stem = current.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut takes = entries(folder).unwrap_or_default();
    takes.retain(|path| is_midi(path) && name(path).starts_with(&stem) && path.is_file());
    takes
}

pub(super) async fn list(State(desk): State<Desk>) -> Json<Value> {
    let mut takes: Vec<(std::time::SystemTime, PathBuf)> = takes(&desk.take)
        .into_iter()
        .filter_map(|path| Some((fs::metadata(&path).and_then(|data| data.modified()).ok()?, path)))
        .collect();
    takes.sort();
    let described = takes.iter().rev().take(LISTED).map(|(modified, path)| {
        let notes = read_notes(path).unwrap_or_default();
        let end = notes.iter().map(|note| (note.onset + note.duration).as_micros()).max().unwrap_or(0);
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        json!({
            "name": name(path), "bytes": fs::metadata(path).map_or(0, |data| data.len()), "notes": notes.len(),
            "milliseconds": end / 1000, "modified": since.as_secs(), "recording": name(path) == name(&desk.take),
        })
    });
    Json(described.collect())
}

/// The take of that name: only what is listed, so that no name leads out of the folder.
fn find(desk: &Desk, wanted: &str) -> Result<PathBuf, (StatusCode, String)> {
    let found = takes(&desk.take).into_iter().find(|path| name(path) == wanted);
    found.ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no take {wanted:?}\n")))
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
