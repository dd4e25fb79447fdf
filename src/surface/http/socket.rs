//! The WebSocket: how things stand, then what happens, at most 60 messages a second.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep, timeout};

use super::{Desk, api};
use crate::figures::Report;
use crate::sight::{Sight, Watcher};

/// Least time between two messages.
const FRAME: Duration = Duration::from_micros(16_667);

/// How often the time and the figures are told when nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A browser that takes no message for so long has gone.
const GONE_AFTER: Duration = Duration::from_secs(10);

/// What a browser says is short: it asks by the API.
const LONGEST_MESSAGE: usize = 4096;

pub(super) async fn open(State(desk): State<Desk>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(LONGEST_MESSAGE).on_upgrade(move |socket| watch(socket, desk))
}

async fn watch(mut socket: WebSocket, desk: Desk) {
    let mut watcher = desk.feed.watch();
    let mut state = api::how_things_stand(&desk);
    state["event"] = json!("state");
    state["recent"] = std::mem::take(&mut watcher.recent).iter().map(Sight::to_json).collect();
    if !tell(&mut socket, &state).await {
        return;
    }
    let mut heartbeat = Instant::now();
    loop {
        let mut sights = Vec::new();
        tokio::select! {
            sight = watcher.sights.recv() => match sight {
                Ok(sight) => sights.push(sight.to_json()),
                Err(RecvError::Lagged(lost)) => sights.push(json!({ "event": "behind", "lost": lost })),
                Err(RecvError::Closed) => return,
            },
            heard = socket.recv() => match heard {
                // Nothing is asked for here; a closed or broken connection ends it.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            () = tokio::time::sleep_until(heartbeat) => {}
        }
        let mut batch = json!({ "event": "sights", "now": api::now(&desk) });
        if Instant::now() >= heartbeat {
            heartbeat = Instant::now() + HEARTBEAT;
            batch["figures"] = json!(Report::new(&desk.status));
            batch["losses"] = json!(desk.status.losses());
        }
        drain(&mut watcher, &mut sights);
        batch["sights"] = Value::Array(sights);
        if !tell(&mut socket, &batch).await {
            return;
        }
        sleep(FRAME).await;
    }
}

/// Takes what else is there already, so that a flood of notes is one message.
fn drain(watcher: &mut Watcher, sights: &mut Vec<Value>) {
    loop {
        match watcher.sights.try_recv() {
            Ok(sight) => sights.push(sight.to_json()),
            Err(TryRecvError::Lagged(lost)) => sights.push(json!({ "event": "behind", "lost": lost })),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}

/// Whether the browser took it.
async fn tell(socket: &mut WebSocket, what: &Value) -> bool {
    let sent = timeout(GONE_AFTER, socket.send(Message::Text(what.to_string().into()))).await;
    matches!(sent, Ok(Ok(())))
}
