//! The page's API on the built daemon: what it shows, what it does, whom it refuses.

mod daemon;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use daemon::Daemon;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;

/// A daemon with its page on a port of its own, and that port. A bundled phrase plays the human.
fn start(folder: &Path, arguments: &[&str]) -> (Daemon, String) {
    let all = [&["--backend", "none", "--seed", "7"], arguments].concat();
    let mut daemon = Daemon::start(folder, &all);
    daemon.wait_until_ready(Duration::from_secs(60));
    let said = daemon.said();
    let url = said.lines().find_map(|line| line.strip_prefix("page: http://")).expect("it says where the page is");
    let address = url.split('/').next().expect("an address").replace("0.0.0.0", "127.0.0.1");
    (daemon, address)
}

/// Status and body of an answer.
fn ask(address: &str, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let host = if headers.iter().any(|header| header.starts_with("Host:")) {
        String::new()
    } else {
        format!("Host: {address}\r\n")
    };
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\n{host}{more}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("it takes the request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

fn get(address: &str, path: &str) -> Value {
    let (status, body) = ask(address, "GET", path, &[], "");
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

fn post(address: &str, path: &str, body: &Value) -> (u16, String) {
    ask(address, "POST", path, &["Content-Type: application/json"], &body.to_string())
}

#[test]
fn a_setting_and_an_action_reach_the_music_and_what_happens_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, address) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let request = format!("ws://{address}/ws").into_client_request().expect("well formed");
    let (mut socket, _) =
        tungstenite::client(request, TcpStream::connect(&address).expect("it listens")).expect("open");
    let mut next = move || -> Value {
        let message = socket.read().expect("it goes on");
        serde_json::from_str(message.to_text().expect("text")).expect("JSON")
    };
    let state = next();
    assert_eq!((&state["event"], &state["settings"]["temperature"]), (&json!("state"), &json!("1")));

    assert_eq!(post(&address, "/api/settings/temperature", &json!({ "value": 0.5 })).0, 202);
    assert_eq!(post(&address, "/api/control", &json!({ "control": "hand-over" })).0, 202);
    let wanted = ["temperature 0.5", "hand-over", "human_on", "planned", "ai_on"];
    let mut seen = [false; 5];
    let begun = Instant::now();
    while seen != [true; 5] {
        assert!(begun.elapsed() < Duration::from_secs(60), "of {wanted:?} only {seen:?} came");
        for sight in next()["sights"].as_array().into_iter().flatten() {
            let what = sight["control"].as_str().or(sight["event"].as_str()).expect("a kind");
            wanted.iter().zip(&mut seen).filter(|(name, _)| **name == what).for_each(|(_, seen)| *seen = true);
        }
    }
    assert_eq!(get(&address, "/api/state")["settings"]["temperature"], "0.5");
    let settings = get(&address, "/api/settings");
    let patience = settings.as_array().expect("a list").iter().find(|row| row["name"] == "patience").expect("known");
    assert_eq!((&patience["default"], &patience["value"]), (&json!("1.5"), &json!("1.5")));
    assert!(get(&address, "/api/figures")["notes"]["on_time"].is_u64());
}

#[test]
fn nonsense_and_strangers_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, address) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let (status, sentence) = post(&address, "/api/settings/temprature", &json!({ "value": 1 }));
    assert!(status == 404 && sentence.contains("temperature"), "{status} {sentence}");
    let (status, sentence) = post(&address, "/api/settings/patience", &json!({ "value": "-3" }));
    assert!(status == 422 && sentence.contains("from 0 to 10"), "{status} {sentence}");
    assert_eq!(ask(&address, "POST", "/api/control", &["Content-Type: text/plain"], "{\"control\":\"panic\"}").0, 415);
    assert_eq!(ask(&address, "GET", "/api/state", &["Host: evil.example"], "").0, 403);
    assert_eq!(ask(&address, "GET", "/api/state", &["Origin: http://evil.example"], "").0, 403);
    let opening = ["Origin: http://evil.example", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    assert_eq!(ask(&address, "GET", "/ws", &opening, "").0, 403);
    for path in ["/", "/page.js", "/roll.js", "/rig.js", "/takes.js", "/page.css", "/icon.svg"] {
        let (status, text) = ask(&address, "GET", path, &[], "");
        assert!(status == 200 && !text.contains("https://"), "{path} loads something from elsewhere");
    }

    let (_far, address) = start(
        folder.path(),
        &["--http", "0.0.0.0:0", "--token", "open-sesame", "--out", "far.mid", "--seconds", "300"],
    );
    assert_eq!(ask(&address, "GET", "/api/state", &[], "").0, 401);
    assert_eq!(ask(&address, "GET", "/api/state?token=open-sesam3", &[], "").0, 401);
    assert_eq!(ask(&address, "GET", "/api/state?token=open-sesame", &[], "").0, 200);
    assert_eq!(ask(&address, "GET", "/api/state", &["Authorization: Bearer open-sesame"], "").0, 200);
}

#[test]
fn takes_are_listed_fetched_and_deleted_but_never_the_one_that_is_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let earlier = folder.path().join("AI_generated-20260101-120000.mid");
    let song = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phrase.mid");
    std::fs::copy(&song, &earlier).expect("copied");
    std::fs::copy(&song, folder.path().join("other.mid")).expect("copied");
    let (_daemon, address) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let takes = get(&address, "/api/takes");
    let names: Vec<_> =
        takes.as_array().expect("a list").iter().map(|take| take["name"].as_str().expect("text")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(takes[0]["recording"] == true && takes[1]["notes"].as_u64() > Some(3), "{takes}");
    let path = "/api/takes/AI_generated-20260101-120000.mid";
    assert!(ask(&address, "GET", path, &[], "").1.starts_with("MThd"));
    assert_eq!(ask(&address, "GET", "/api/takes/other.mid", &[], "").0, 404);
    assert_eq!(ask(&address, "GET", "/api/takes/..%2Fother.mid", &[], "").0, 404);
    assert_eq!(ask(&address, "DELETE", "/api/takes/AI_generated.mid", &[], "").0, 409);
    assert_eq!(ask(&address, "DELETE", path, &[], "").0, 204);
    assert!(!earlier.exists() && ask(&address, "GET", path, &[], "").0 == 404);
}

#[test]
fn a_take_is_played_back_and_stopped_and_the_models_beside_the_first_are_offered() {
    let folder = tempfile::tempdir().expect("a folder");
    let song = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/phrase.mid");
    let take = "AI_generated-20260101-120000.mid";
    std::fs::copy(&song, folder.path().join(take)).expect("copied");
    let arguments = ["--http", "0", "--seconds", "300", "--mode", "listen", "--input"];
    // Nobody plays: a file without notes is the human.
    let silence = folder.path().join("silence.mid");
    let bytes = antiphon::take::Take::default().to_midi().expect("short");
    std::fs::write(&silence, bytes).expect("written");
    let (_daemon, address) = start(folder.path(), &[&arguments[..], &[silence.to_str().expect("text")]].concat());
    let plays = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        let begun = Instant::now();
        loop {
            let playing = get(&address, "/api/playback");
            if holds(&playing) {
                return playing;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "it never came: {what}; {playing}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert!(get(&address, "/api/playback").is_null());
    assert_eq!(post(&address, "/api/playback", &json!({ "take": "../silence.mid" })).0, 404);
    assert_eq!(post(&address, "/api/playback", &json!({ "take": 7 })).0, 422);
    assert_eq!(post(&address, "/api/playback", &json!({})).0, 202);
    let playing = plays("the newest take with a note", &|playing| playing["take"] == take);
    assert!(playing["seconds"].as_f64() > Some(1.0) && playing["begins"].is_number(), "{playing}");
    assert!(ask(&address, "GET", "/metrics", &[], "").1.contains("antiphon_playing_back 1\n"));
    assert_eq!(ask(&address, "DELETE", "/api/playback", &[], "").0, 202);
    plays("none", &Value::is_null);

    let actions = get(&address, "/api/actions");
    assert!(actions.as_array().expect("a list").iter().any(|action| action["name"] == "play-take"), "{actions}");
    let models = get(&address, "/api/models");
    assert_eq!((&models[0]["name"], &models[0]["playing"]), (&json!("antiphon.onnx"), &json!(true)), "{models}");
}

#[test]
fn who_comes_late_is_told_the_last_notes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, address) = start(folder.path(), &["--http", "0", "--seconds", "300", "--mode", "listen"]);
    let begun = Instant::now();
    while get(&address, "/api/state")["notes"]["human"].as_u64() < Some(3) {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing was played");
        std::thread::sleep(Duration::from_millis(20));
    }
    let request = format!("ws://{address}/ws").into_client_request().expect("well formed");
    let (mut socket, _) =
        tungstenite::client(request, TcpStream::connect(&address).expect("it listens")).expect("open");
    let state: Value = serde_json::from_str(socket.read().expect("it goes on").to_text().expect("text")).expect("JSON");
    let notes = state["recent"].as_array().expect("a list").iter().filter(|sight| sight["event"] == "human_on");
    assert!(notes.count() >= 2, "{}", state["recent"]);
}

#[test]
fn the_api_is_as_its_document_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, address) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let document = get(&address, "/api/openapi.json");
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let path = path.replace("{name}", "nothing");
            let (status, body) = ask(
                &address,
                &method.to_uppercase(),
                &path,
                &["Content-Type: application/json"],
                "{\"value\":1,\"control\":\"no\"}",
            );
            assert!(operation["responses"].get(status.to_string()).is_some(), "{method} {path}: {status} {body}");
        }
    }
}

#[test]
fn a_page_that_was_asked_for_and_cannot_be_is_a_sentence_and_a_code() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["jam", "--engine", "embedded", "--backend", "none", "--http", &port])
        .current_dir(folder.path())
        .env("ANTIPHON_CONFIG", "none")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("the page cannot be served at"), "{said}");
}

#[test]
fn what_becomes_of_a_port_that_is_wanted_is_told_and_learning_begins_and_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_daemon, address) = start(folder.path(), &["--http", "0", "--seconds", "300"]);
    let eventually = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        let begun = Instant::now();
        while !holds(&get(&address, "/api/state")) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never came: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert_eq!(post(&address, "/api/control", &json!({ "control": "learn temperature" })).0, 202);
    eventually("learning", &|state| state["controllers"]["learning"] == "temperature");
    eventually("by what", &|state| state["controllers"]["waits_for"] == "a knob, a fader or the pitch wheel");
    assert_eq!(post(&address, "/api/control", &json!({ "control": "stop-learning" })).0, 202);
    eventually("not learning", &|state| state["controllers"]["learning"].is_null());

    let request = format!("ws://{address}/ws").into_client_request().expect("well formed");
    let (mut socket, _) =
        tungstenite::client(request, TcpStream::connect(&address).expect("it listens")).expect("open");
    assert_eq!(post(&address, "/api/ports/attach", &json!({ "direction": "to", "name": "Juno" })).0, 202);
    let begun = Instant::now();
    let told = |message: &Value| {
        let sights = message["sights"].as_array().into_iter().flatten();
        sights.filter(|sight| sight["event"] == "ports").any(|sight| sight["news"].to_string().contains("Juno"))
    };
    loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "without a MIDI system nothing is said of the port");
        let message = socket.read().expect("it goes on");
        if told(&serde_json::from_str(message.to_text().expect("text")).expect("JSON")) {
            break;
        }
    }
    for nonsense in [json!({ "direction": "to", "name": " " }), json!({ "direction": "up", "name": "Juno" })] {
        assert_eq!(post(&address, "/api/ports/attach", &nonsense).0, 422, "{nonsense}");
    }
}
