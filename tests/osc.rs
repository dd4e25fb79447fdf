//! OSC of the built daemon: spoken to by rosc, and by liblo's programs, an implementation of other people's.

mod daemon;

use std::fs::{self, File};
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use daemon::Daemon;
use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType, decoder, encoder};

/// Longest wait for anything: tests share the machine with others.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(folder: &Path, arguments: &[&str]) -> (Daemon, u16) {
    let usual = ["--backend", "none", "--headless", "--seed", "7", "--osc", "0"];
    let mut daemon = Daemon::start(folder, &[&usual[..], arguments].concat());
    daemon.wait_until_ready(PATIENCE);
    let said = daemon.said();
    let port = said.lines().find_map(|line| line.strip_prefix("OSC: 127.0.0.1:")?.split(',').next()?.parse().ok());
    (daemon, port.unwrap_or_else(|| panic!("the port is not told:\n{said}")))
}

/// Somebody with a socket.
struct Peer {
    socket: UdpSocket,
    daemon: (&'static str, u16),
}

impl Peer {
    fn of(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        Self { socket, daemon: ("127.0.0.1", port) }
    }

    fn send(&self, packet: &OscPacket) {
        let bytes = encoder::encode(packet).expect("to memory");
        self.socket.send_to(&bytes, self.daemon).expect("sent");
    }

    fn ask(&self, address: &str, arguments: Vec<OscType>) {
        self.send(&message(address, arguments));
    }

    /// The next message at this address; others are passed over.
    fn await_message(&self, address: &str) -> Vec<OscType> {
        let begun = Instant::now();
        let mut bytes = [0; 65_536];
        while begun.elapsed() < PATIENCE {
            let (length, _) = self.socket.recv_from(&mut bytes).unwrap_or_else(|why| panic!("no {address}: {why}"));
            if let Ok((_, OscPacket::Message(message))) = decoder::decode_udp(&bytes[..length])
                && message.addr == address
            {
                return message.args;
            }
        }
        panic!("{address} never came");
    }
}

fn message(address: &str, arguments: Vec<OscType>) -> OscPacket {
    OscPacket::Message(OscMessage { addr: address.into(), args: arguments })
}

#[test]
fn a_peer_hears_the_music_and_turns_the_knobs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (daemon, port) = start(folder.path(), &[]);
    let peer = Peer::of(port);
    peer.ask("/antiphon/subscribe", vec![]);
    assert_eq!(peer.await_message("/antiphon/subscribed"), [OscType::Int(60)]);
    assert_eq!(peer.await_message("/antiphon/setting/mode"), [OscType::String("solo".into())]);
    let played = peer.await_message("/antiphon/ai/note");
    assert!(matches!(played[..], [OscType::Int(0..=127), OscType::Int(0..=127), OscType::Int(1)]), "{played:?}");

    peer.ask("/antiphon/set/patience", vec![OscType::Double(2.5)]);
    assert_eq!(peer.await_message("/antiphon/setting/patience"), [OscType::Float(2.5)]);
    peer.ask("/antiphon/set/{soft,loud}est", vec![OscType::Int(64)]);
    assert_eq!(peer.await_message("/antiphon/setting/softest"), [OscType::Int(64)]);
    assert_eq!(peer.await_message("/antiphon/setting/loudest"), [OscType::Int(64)]);

    // Damage is told, and does no harm.
    for damage in [&b"nonsense"[..], &[0xff; 300], b"#bundle\0", b"/antiphon/set/patience\0\0,f\0\0"] {
        peer.socket.send_to(damage, ("127.0.0.1", port)).expect("sent");
    }
    let trouble = peer.await_message("/antiphon/trouble");
    assert!(matches!(&trouble[..], [OscType::String(why)] if why.contains("OSC from 127.0.0.1")), "{trouble:?}");

    // A second from now, and not before.
    let moment = SystemTime::now() + Duration::from_secs(1);
    let timetag = OscTime::try_from(moment).expect("after 1970");
    peer.send(&OscPacket::Bundle(OscBundle {
        timetag,
        content: vec![message("/antiphon/set/mode", vec!["listen".into()]), message("/antiphon/get/memory", vec![])],
    }));
    // The answer needs no conductor, so it comes first.
    assert_eq!(peer.await_message("/antiphon/setting/memory"), [OscType::Float(1.0)]);
    assert_eq!(peer.await_message("/antiphon/setting/mode"), [OscType::String("listen".into())]);
    assert!(SystemTime::now() >= moment, "too early");

    // Learnt as it is on the page: what is typed waits for the same kind of message.
    for (line, meaning, kind) in [
        ("learn memory", "memory", "a knob, a fader or the pitch wheel"),
        ("learn panic", "panic", "a key, a pedal, a button or a knob"),
        ("stop-learning", "", ""),
    ] {
        peer.ask("/antiphon/ask", vec![line.into()]);
        let told = peer.await_message("/antiphon/learning");
        assert_eq!(told, [OscType::String(meaning.into()), OscType::String(kind.into())], "{line}");
    }

    peer.ask("/antiphon/get/figures", vec![]);
    let left = peer.await_message("/antiphon/figures/planned-to-sent/count");
    assert!(matches!(left[..], [OscType::Int(1..)]), "{left:?}");

    let (status, said) = daemon.stop("TERM", PATIENCE);
    assert!(status.success(), "it ended with {status} and said:\n{said}");
    assert_eq!(peer.await_message("/antiphon/ended"), []);
    let counts = said.lines().find(|line| line.ends_with("failed") && line.starts_with("OSC:"));
    assert!(counts.is_some_and(|counts| counts.contains(" packets in, 4 refused, 0 too many;")), "{said}");
}

#[test]
fn a_port_that_is_taken_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .args(["jam", "--engine", "embedded", "--backend", "none", "--headless", "--seconds", "1", "--osc", &port])
        .args(["--out", "take.mid", "--model"])
        .arg(daemon::bundled_model())
        .current_dir(folder.path())
        .env("ANTIPHON_CONFIG", "none")
        .output()
        .expect("antiphon runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("OSC cannot be opened on 127.0.0.1:{port}")), "{said}");
}

#[test]
fn the_page_of_addresses_is_the_programs_own() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/osc.md")).expect("the page");
    let output = Command::new(env!("CARGO_BIN_EXE_antiphon")).args(["settings", "--osc"]).output().expect("it runs");
    let listing = String::from_utf8(output.stdout).expect("text");
    assert!(
        page.contains(&format!("```text\n{listing}```\n")),
        "docs/osc.md must have in it what `antiphon settings --osc` prints:\n{listing}"
    );
}

/// A program that is ended with its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn liblo_understands_us_and_we_understand_liblo() {
    if Command::new("oscsend").stdin(Stdio::null()).output().is_err() {
        // Past the test runner's capture; a closed standard error is no reason to fail.
        let _ = writeln!(std::io::stderr(), "osc: left out: liblo's oscsend is not installed (tools/setup.sh --test)");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("dump");
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    let dump = Command::new("oscdump")
        .args(["-L", &free.to_string()])
        .stdout(File::create(&log).expect("a file"))
        .stdin(Stdio::null())
        .spawn();
    let _dump = Program(dump.expect("oscdump comes with oscsend"));
    let dumped = || fs::read_to_string(&log).unwrap_or_default();
    let wait_for = |what: &str| {
        let begun = Instant::now();
        while !dumped().lines().any(|line| line.ends_with(what)) {
            assert!(begun.elapsed() < PATIENCE, "{what} never came:\n{}", dumped());
            sleep(Duration::from_millis(20));
        }
    };
    let (_daemon, port) = start(folder.path(), &["--osc-to", &format!("127.0.0.1:{free}")]);
    let send = |arguments: &[&str]| {
        let status = Command::new("oscsend").args(["127.0.0.1", &port.to_string()]).args(arguments).status();
        assert!(status.is_ok_and(|status| status.success()), "{arguments:?}");
    };
    // oscdump may not have listened yet when we told everything at the start.
    let begun = Instant::now();
    while dumped().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nothing came");
        sleep(Duration::from_millis(20));
    }
    for (sent, told) in [
        (&["/antiphon/set/patience", "f", "2.5"][..], "/antiphon/setting/patience f 2.500000"),
        (&["/antiphon/set/patience", "d", "3"], "/antiphon/setting/patience f 3.000000"),
        (&["/antiphon/set/lowest-key", "h", "40"], "/antiphon/setting/lowest-key i 40"),
        (&["/antiphon/set/thru", "T"], "/antiphon/setting/thru s \"on\""),
        (&["/antiphon/set/mode", "s", "listen"], "/antiphon/setting/mode s \"listen\""),
        (&["/antiphon/knob/memory", "i", "0"], "/antiphon/setting/memory f 0.000000"),
        (&["/*/take-back"], "/antiphon/control s \"take-back\""),
        (&["/antiphon/hand-over", "I"], "/antiphon/control s \"hand-over\""),
        (&["/antiphon/panic", "f", "1"], "/antiphon/control s \"panic\""),
    ] {
        send(sent);
        wait_for(told);
    }
}
