//! The connection: what happens comes by the WebSocket, wishes go by the API, each on a thread of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::HeaderValue;
use tungstenite::{HandshakeError, Message, WebSocket};

use super::Address;
use crate::ports::Direction;

/// The daemon says something every second; one that is silent for so long has gone.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// How long it waits before it tries again: at first, and at most.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(4)];

/// The longest answer that is taken.
const LONGEST_ANSWER: u64 = 16 << 20;

/// Words that may wait to be drawn. The daemon waits for nobody: who is slower than that misses some.
const WAITING: usize = 256;

/// What the connection says.
#[derive(Clone, Debug, PartialEq)]
pub enum Word {
    /// It is there; how things stand.
    State(Value),
    /// What has happened.
    Sights(Value),
    /// All settings.
    Settings(Value),
    /// All takes.
    Takes(Value),
    /// All models that can be chosen.
    Models(Value),
    /// A wish was refused, for this reason.
    Refused(String),
    /// The connection is not there; it is tried again.
    Down(String),
}

/// What is looked up by the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// All settings, with their values.
    Settings,
    /// All takes.
    Takes,
    /// All models that can be chosen.
    Models,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A line, as it is typed while `antiphon jam` plays.
    Control(String),
    /// A port is wanted, or not any more.
    Cable {
        /// Which way its messages go.
        direction: Direction,
        /// Its name.
        name: String,
        /// Whether it is wanted.
        wanted: bool,
    },
    /// A take is to be deleted.
    Delete(String),
    /// Something is to be looked up.
    Look(List),
}

impl Wish {
    /// Method, path and body.
    fn request(&self) -> (&'static str, String, Option<Value>) {
        match self {
            Self::Control(line) => ("POST", "/api/control".into(), Some(json!({ "control": line }))),
            Self::Cable { direction, name, wanted } => {
                let path = if *wanted { "/api/ports/attach" } else { "/api/ports/detach" };
                ("POST", path.into(), Some(json!({ "direction": direction, "name": name })))
            }
            Self::Delete(name) => ("DELETE", format!("/api/takes/{}", escaped(name)), None),
            Self::Look(List::Settings) => ("GET", "/api/settings".into(), None),
            Self::Look(List::Takes) => ("GET", "/api/takes".into(), None),
            Self::Look(List::Models) => ("GET", "/api/models".into(), None),
        }
    }

    /// Whether a later wish makes this one needless: a slider that moves on.
    fn is_outdone_by(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Control(before), Self::Control(after)) => {
                let name = |line: &str| line.split_once(' ').map(|(name, _)| name.to_owned());
                name(before).is_some_and(|name_of| name(after) == Some(name_of))
            }
            (Self::Look(before), Self::Look(after)) => before == after,
            _ => false,
        }
    }
}

/// A connection that comes back by itself. Its threads end with the program.
pub struct Link {
    /// What it says.
    pub words: Receiver<Word>,
    wishes: Sender<Wish>,
}

impl Link {
    /// Begins to watch.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(address: &Address) -> std::io::Result<Self> {
        let (say, words) = bounded(WAITING);
        let (wishes, asked) = bounded(WAITING);
        let (watched, said) = (address.clone(), say.clone());
        thread::Builder::new().name("watching".into()).spawn(move || watch(&watched, &said))?;
        let address = address.clone();
        thread::Builder::new().name("asking".into()).spawn(move || ask_all(&address, &asked, &say))?;
        Ok(Self { words, wishes })
    }

    /// Asks for something. With a connection that hangs for long, what is too much is dropped.
    pub fn wish(&self, wish: Wish) {
        let _ = self.wishes.try_send(wish);
    }
}

/// Follows what happens, over and over.
fn watch(address: &Address, say: &Sender<Word>) {
    let [first, longest] = AGAIN_AFTER;
    let mut wait = first;
    loop {
        let begun = Instant::now();
        let why = match follow(address, say) {
            Ok(()) => return,
            Err(why) => why,
        };
        if say.send(Word::Down(why)).is_err() {
            return;
        }
        // One that went well for a while is tried again at once.
        wait = if begun.elapsed() > longest { first } else { (2 * wait).min(longest) };
        thread::sleep(wait);
    }
}

/// Follows what happens until it ends; `Ok` when nobody listens any more.
fn follow(address: &Address, say: &Sender<Word>) -> Result<(), String> {
    let mut socket = open(address)?;
    loop {
        let word = match socket.read() {
            Ok(Message::Text(text)) => word(&text)?,
            Ok(Message::Close(_)) => return Err(format!("Antiphon at {} has ended", address.authority())),
            Ok(_) => continue,
            Err(tungstenite::Error::Io(error)) if is_silence(&error) => {
                return Err(format!("nothing was heard from {} for {} s", address.authority(), GONE_AFTER.as_secs()));
            }
            Err(error) => return Err(format!("the connection to {} broke: {error}", address.authority())),
        };
        if say.send(word).is_err() {
            return Ok(());
        }
    }
}

fn is_silence(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn word(text: &str) -> Result<Word, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("what was heard is no JSON: {error}"))?;
    Ok(if value["event"] == "state" { Word::State(value) } else { Word::Sights(value) })
}

/// Opens the WebSocket.
pub(super) fn open(address: &Address) -> Result<WebSocket<TcpStream>, String> {
    let stream = connected(address).map_err(|unanswered| unanswered.to_string())?;
    let url = format!("ws://{}/ws", address.authority());
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    if let Some(token) = address.token() {
        let value = HeaderValue::from_str(&format!("Bearer {}", token.as_str())).map_err(|error| error.to_string())?;
        request.headers_mut().insert("Authorization", value);
    }
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(tungstenite::Error::Http(refusal))) => {
            let body = refusal.body().as_deref().unwrap_or_default();
            Err(refused(address, refusal.status().as_u16(), &String::from_utf8_lossy(body)))
        }
        Err(error) => Err(format!("what answers at {} is no Antiphon ({error})", address.authority())),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nobody is there, or they do not speak.
    #[error(
        "nothing answers at {place} ({cause}): start `antiphon jam`, or name the address that it prints behind `page:`"
    )]
    Nobody {
        /// Host and port.
        place: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The answer is a refusal, in words.
    #[error("{0}")]
    Refused(String),
}

fn connected(address: &Address) -> Result<TcpStream, Unanswered> {
    let connect = || {
        let stream = address.connect()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(GONE_AFTER))?;
        stream.set_write_timeout(Some(GONE_AFTER))?;
        Ok(stream)
    };
    connect().map_err(|cause| Unanswered::Nobody { place: address.authority(), cause })
}

fn refused(address: &Address, status: u16, why: &str) -> String {
    let place = address.authority();
    match (status, why.trim()) {
        (401, _) if address.token().is_some() => format!("the token is not the one of Antiphon at {place}"),
        (401, _) => format!(
            "Antiphon at {place} wants its token: --token SECRET, or the whole address that it prints behind `page:`"
        ),
        (_, "") => format!("{place} refuses ({status})"),
        (_, why) => why.lines().next().unwrap_or(why).to_owned(),
    }
}

/// Asks the API, as HTTP/1.0 so that the answer ends with the connection.
///
/// # Errors
/// [`Unanswered`], with what to do.
pub fn ask(address: &Address, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Unanswered> {
    let mut stream = connected(address)?;
    let nobody = |cause| Unanswered::Nobody { place: address.authority(), cause };
    let token = address.token().map(|token| format!("Authorization: Bearer {}\r\n", token.as_str()));
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {}\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        address.authority(),
        token.unwrap_or_default(),
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(nobody)?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).map_err(nobody)?;
    let answer = String::from_utf8_lossy(&answer);
    let stranger = || Unanswered::Refused(format!("what answers at {} is no Antiphon", address.authority()));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(stranger)?;
    let status = head.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    match status.ok_or_else(stranger)? {
        200..=299 if body.is_empty() => Ok(Value::Null),
        200..=299 => serde_json::from_str(body).map_err(|_| stranger()),
        status => Err(Unanswered::Refused(refused(address, status, body))),
    }
}

/// Asks for all wishes, one after the other. Of several that outdo each other, the last.
fn ask_all(address: &Address, asked: &Receiver<Wish>, say: &Sender<Word>) {
    let mut next = None;
    while let Some(mut wish) = next.take().or_else(|| asked.recv().ok()) {
        while let Ok(later) = asked.try_recv() {
            if !wish.is_outdone_by(&later) {
                next = Some(later);
                break;
            }
            wish = later;
        }
        for word in fulfil(address, &wish) {
            if say.send(word).is_err() {
                return;
            }
        }
    }
}

fn fulfil(address: &Address, wish: &Wish) -> Vec<Word> {
    let (method, path, body) = wish.request();
    match (ask(address, method, &path, body.as_ref()), wish) {
        (Ok(value), Wish::Look(List::Settings)) => vec![Word::Settings(value)],
        (Ok(value), Wish::Look(List::Takes)) => vec![Word::Takes(value)],
        (Ok(value), Wish::Look(List::Models)) => vec![Word::Models(value)],
        (Ok(_), Wish::Delete(_)) => fulfil(address, &Wish::Look(List::Takes)),
        (Ok(_), _) => Vec::new(),
        // Nobody asked for a list: without a connection the screen says so anyway.
        (Err(_), Wish::Look(_)) => Vec::new(),
        (Err(why), _) => vec![Word::Refused(why.to_string())],
    }
}

/// A name as part of a path.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_slider_that_moves_on_makes_its_earlier_places_needless() {
        let control = |line: &str| Wish::Control(line.into());
        assert!(control("memory 0.1").is_outdone_by(&control("memory 0.2")));
        assert!(!control("memory 0.1").is_outdone_by(&control("density 3")));
        assert!(!control("hand-over").is_outdone_by(&control("hand-over")), "an action is asked for each time");
        assert!(!control("memory 0.1").is_outdone_by(&Wish::Look(List::Takes)));
    }

    #[test]
    fn names_of_takes_are_escaped() {
        assert_eq!(escaped("a b/ü.mid"), "a%20b%2F%C3%BC.mid");
    }

    #[test]
    fn whoever_is_no_antiphon_gets_a_sentence() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address: Address = listener.local_addr().expect("bound").to_string().parse().expect("an address");
        let other = thread::spawn(move || {
            for answer in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.0 404 Not Found\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n<html>"]
            {
                let (mut stream, _) = listener.accept().expect("a caller");
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                stream.write_all(answer.as_bytes()).expect("written");
            }
        });
        for says in ["no Antiphon", "refuses (404)", "no Antiphon"] {
            let error = ask(&address, "GET", "/api/state", None).expect_err("refused").to_string();
            assert!(error.contains(says), "{error}");
        }
        other.join().expect("it ends");
        let error = ask(&address, "GET", "/api/state", None).expect_err("nobody").to_string();
        assert!(error.contains("start `antiphon jam`"), "{error}");
    }
}
