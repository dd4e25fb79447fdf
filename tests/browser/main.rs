//! The page in a real browser: the built daemon on one side, headless Chromium on the other.
#![cfg(all(unix, feature = "jack"))]

#[path = "../daemon/mod.rs"]
mod daemon;
mod driver;
#[path = "../jack/on_server.rs"]
mod on_server;
#[expect(dead_code, reason = "here it only plays")]
#[path = "../jack/pianist.rs"]
mod pianist;
#[path = "../jack/server.rs"]
mod server;

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use daemon::Daemon;
use driver::{Browser, is_installed};
use jack::Frames;
use on_server::{say, with_jack_server, with_jack_servers_name};
use pianist::Pianist;
use server::Server;

/// Frames per millisecond: our server runs at 48 kHz.
const MILLISECOND: Frames = 48;

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names a folder in which pictures of the page are to be left, for people to look at.
const PICTURES: &str = "ANTIPHON_PICTURES";

const TAB: &str = "\u{e004}";

/// Whether a browser is here; says that the test is left out where there is none.
fn can_browse(name: &str) -> bool {
    let can = is_installed();
    if !can {
        say(&format!("left out: {name}: no chromium and chromedriver here (tools/setup.sh --test)"));
    }
    can
}

/// Two browsers on two cores would slow each other down.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port that was free just now.
fn free_port() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port().to_string()
}

fn begin(folder: &Path, port: &str, backend: &str) -> Daemon {
    begin_with(folder, port, backend, &[])
}

fn begin_with(folder: &Path, port: &str, backend: &str, more: &[&str]) -> Daemon {
    let common = ["--backend", backend, "--mode", "listen", "--http", port, "--json"];
    let mut daemon = Daemon::start(folder, &[&common[..], more].concat());
    daemon.wait_until_ready(PATIENCE);
    daemon
}

/// Opens the page of the daemon at that port and waits until it is connected.
fn browse(port: &str) -> Browser {
    let browser = Browser::open(&format!("http://127.0.0.1:{port}/"));
    browser.wait_until("the page connects", CONNECTED);
    browser
}

const CONNECTED: &str = "document.body.dataset.link === 'up' && document.getElementById('setting-patience')";

fn photograph(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os(PICTURES) {
        browser.photograph(&Path::new(&folder).join(name));
    }
}

/// Waits until the daemon has said it.
fn wait_until_said(daemon: &mut Daemon, what: &str) {
    let begun = Instant::now();
    while !daemon.said().contains(what) {
        daemon.expect_alive();
        assert!(begun.elapsed() < PATIENCE, "{what:?} was not said:\n{}", daemon.said());
        sleep(Duration::from_millis(20));
    }
}

/// Whether there is this colour on the roll.
fn painted(colour: &str) -> String {
    format!(
        "(() => {{ const canvas = document.getElementById('roll'), pen = canvas.getContext('2d');\
                 const probe = document.createElement('canvas').getContext('2d');\
                 probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--{colour}');\
                 probe.fillRect(0, 0, 1, 1); const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;\
                 const data = pen.getImageData(0, 0, canvas.width, canvas.height).data; let count = 0;\
                 for (let i = 0; i < data.length; i += 4)\
                   if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 40) count += 1;\
                 return count > 30; }})()"
    )
}

#[test]
fn a_note_played_through_jack_appears_on_the_page() {
    let name = "a_note_played_through_jack_appears_on_the_page";
    if !can_browse(name) {
        return;
    }
    let _turn = one_at_a_time();
    with_jack_server(name, || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        drop(server::open_client("knock"));
        let _daemon = begin(folder.path(), &port, "jack");
        let mut pianist = Pianist::sit_down();
        let browser = browse(&port);
        browser.becomes(1280, 900);
        assert_eq!(browser.run(&format!("return {}", painted("human"))), false, "nothing was played yet");
        let [_, end] = pianist.play(vec![(0, [0x90, 64, 127]), (600 * MILLISECOND, [0x80, 64, 0])]);
        browser.wait_until("the note is painted in the human's colour", &painted("human"));
        browser.wait_until(
            "the note is counted",
            "document.getElementById('counts').textContent.startsWith('1 of yours')",
        );

        pianist.listen_to(end);

        // 100 notes a second, which are 200 events.
        let notes = (0..400u32).flat_map(|index| {
            let (at, key) = (index * 10 * MILLISECOND, u8::try_from(48 + index * 7 % 36).expect("a key"));
            [(at, [0x90, key, 90]), (at + 8 * MILLISECOND, [0x80, key, 0])]
        });
        let [_, end] = pianist.play(notes.collect());
        let frames = browser.run_later(
            "const done = arguments[0]; let frames = 0, worst = 0, last = performance.now(); const begun = last;\
             const count = (now) => { frames += 1; worst = Math.max(worst, now - last); last = now;\
               if (now - begun < 3000) requestAnimationFrame(count);\
               else done({ rate: 1000 * frames / (now - begun), worst }); };\
             requestAnimationFrame(count);",
        );
        let [rate, worst] = ["rate", "worst"].map(|name| frames[name].as_f64().expect("a number"));
        println!("figure: {rate:.1} frames a second while 200 events a second flow, the longest took {worst:.0} ms");
        assert!(rate > 5.0, "the page stands still");
        pianist.listen_to(end);
        // As many as the daemon has heard: a server that is overrun may lose some on the way.
        let heard =
            browser.run_later("fetch('api/state').then((r) => r.json()).then((s) => arguments[0](s.notes.human))");
        assert!(heard.as_u64().is_some_and(|heard| heard > 300), "{heard} of 401 notes came through");
        let counted = format!("document.getElementById('counts').textContent.startsWith('{heard} of yours')");
        browser.wait_until("every note that was heard is counted", &counted);
        photograph(&browser, "flood.png");

        // A key that is held when somebody opens the page.
        pianist.play(vec![(0, [0x90, 76, 127])]);
        let held = format!(
            "document.getElementById('counts').textContent.startsWith('{} of yours')",
            heard.as_u64().unwrap_or(0) + 1
        );
        browser.wait_until("the key is heard", &held);
        let newcomer = browse(&port);
        newcomer.becomes(1280, 900);
        newcomer.wait_until("whoever comes late sees what sounds", &painted("human"));
    });
}

#[test]
fn a_slider_moves_a_setting_and_the_page_comes_back_after_a_restart() {
    let name = "a_slider_moves_a_setting_and_the_page_comes_back_after_a_restart";
    if !can_browse(name) {
        return;
    }
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let mut daemon = begin(folder.path(), &port, "none");
    let browser = browse(&port);
    // As a finger does it: the slider moves and says so.
    browser.run(
        "const slider = document.getElementById('setting-patience'); slider.value = slider.max;\
         for (const kind of ['input', 'change']) slider.dispatchEvent(new Event(kind, { bubbles: true }));",
    );
    wait_until_said(&mut daemon, r#""control":"patience 10""#);
    let shown = "document.querySelector('output[for=setting-patience]').textContent.includes('10')";
    browser.wait_until("the page shows what is set", shown);
    // What somebody else sets is shown as well.
    browser.run(
        "fetch('api/settings/mode', { method: 'POST', headers: { 'content-type': 'application/json' },\
         body: JSON.stringify({ value: 'solo' }) });",
    );
    browser.wait_until("the mode is shown", "document.getElementById('setting-mode').value === 'solo'");
    let played = "parseInt(document.getElementById('counts').textContent.split(', ')[1]) >= 8";
    browser.wait_until("Antiphon plays, and the page shows it", played);
    browser.wait_until("the turn is shown", "document.getElementById('turn').textContent === 'Antiphon answers'");
    photograph(&browser, "solo.png");

    let (status, said) = daemon.stop("TERM", PATIENCE);
    assert!(status.success(), "an open page held it up:\n{said}");
    browser.wait_until("the page says that it is not connected", "document.body.dataset.link === 'down'");
    photograph(&browser, "down.png");
    let _daemon = begin(folder.path(), &port, "none");
    browser.wait_until("the page comes back by itself", CONNECTED);
    let patience = "document.querySelector('output[for=setting-patience]').textContent.startsWith('1.5')";
    browser.wait_until("it shows how things stand now", patience);
}

#[test]
fn takes_are_played_back_and_knobs_learnt_from_the_page() {
    let name = "takes_are_played_back_and_knobs_learnt_from_the_page";
    if !can_browse(name) {
        return;
    }
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let song = Path::new(env!("CARGO_MANIFEST_DIR")).join("mid_songs");
    let song = antiphon::song_folder::midi_files(&song).into_iter().next().expect("songs are bundled");
    std::fs::copy(song, folder.path().join("AI_generated-20260101-120000.mid")).expect("copied");
    // Nobody plays: a file without a note is the human.
    let silence = folder.path().join("silence.mid");
    std::fs::write(&silence, antiphon::take::Take::default().to_midi().expect("short")).expect("written");
    let port = free_port();
    let silence = ["--input", silence.to_str().expect("text"), "--seconds", "600"];
    let mut daemon = begin_with(folder.path(), &port, "none", &silence);
    let browser = browse(&port);
    let press = |label: &str| {
        let found = format!("[...document.querySelectorAll('button')].find((b) => b.ariaLabel === '{label}')");
        browser.wait_until(label, &found);
        browser.run(&format!("{found}.click()"));
    };
    let plays = "document.getElementById('turn').textContent === 'A take plays'";
    press("Play AI_generated-20260101-120000.mid back");
    browser.wait_until("it plays", plays);
    browser.wait_until("its notes are painted", &painted("take"));
    browser.wait_until("how far it is", "document.getElementById('played').value > 0");
    browser.wait_until(
        "which it is",
        "document.getElementById('playing').textContent.startsWith('Playing AI_generated-2026')",
    );
    photograph(&browser, "take.png");
    press("Stop AI_generated-20260101-120000.mid");
    browser.wait_until("it has stopped", "document.getElementById('played').hidden");
    browser.press("b");
    wait_until_said(&mut daemon, r#""control":"play-take""#);
    browser.wait_until("one plays", plays);
    browser.press("b");
    wait_until_said(&mut daemon, r#""control":"stop-take""#);

    browser.run("document.querySelectorAll('details').forEach((group) => { group.open = true; });");
    press("Learn a knob for temperature");
    let waits = "!document.getElementById('learning').hidden && document.getElementById('learning').textContent.includes('temperature')";
    browser.wait_until("it waits for the knob", waits);
    photograph(&browser, "learning.png");
    browser.run("document.getElementById('stop-learning').click()");
    browser.wait_until("it waits no more", "document.getElementById('learning').hidden");
    browser.wait_until(
        "the model that plays is chosen",
        "document.getElementById('model').selectedOptions[0]?.textContent === 'antiphon.onnx'",
    );
    let learnable = browser.run("return [...document.getElementById('meaning').options].map((o) => o.value)");
    for word in ["hand-over", "play-take", "stop-take", "temperature"] {
        assert!(
            learnable.as_array().expect("a list").contains(&serde_json::json!(word)),
            "{word} is not in {learnable}"
        );
    }
}

#[test]
fn a_server_that_goes_and_comes_back_is_told_of_in_sight_on_a_phone_too() {
    let name = "a_server_that_goes_and_comes_back_is_told_of_in_sight_on_a_phone_too";
    if !can_browse(name) {
        return;
    }
    let _turn = one_at_a_time();
    with_jack_servers_name(name, || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start_here(folder.path(), [48_000, 256]);
        drop(server::open_client("knock"));
        let port = free_port();
        let _daemon = begin(folder.path(), &port, "jack");
        let browser = browse(&port);
        browser.becomes(390, 844);
        let away = "document.getElementById('away')";
        assert_eq!(browser.run(&format!("return {away}.hidden")), true, "it is there");
        browser
            .run("document.querySelectorAll('details').forEach((group) => { group.open = true; }); scrollTo(0, 900);");
        server.stop("KILL");
        browser.wait_until("the server is missed", &format!("!{away}.hidden && {away}.textContent.includes('JACK')"));
        browser.wait_until("its ports are", "document.getElementById('cables').textContent.includes('waited for')");
        for (scheme, scrolled) in [("dark", 0), ("light", 0), ("dark", 900)] {
            let feature = serde_json::json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.chrome("Emulation.setEmulatedMedia", &feature);
            browser.run(&format!("scrollTo(0, {scrolled});"));
            browser.wait_until("colours have settled", "document.getAnimations().length === 0");
            photograph(&browser, &format!("away-{scheme}-{scrolled}.png"));
            let place = browser
                .run(&format!("const r = {away}.getBoundingClientRect(); return [r.top, innerHeight - r.bottom]"));
            let outside =
                place.as_array().expect("two numbers").iter().any(|room| room.as_f64().is_none_or(|room| room < 0.0));
            assert!(!outside, "out of sight, scrolled by {scrolled}: {place}");
            assert_eq!(browser.run(CONTRAST), serde_json::json!([]), "these are hard to read in the {scheme} scheme");
        }
        let wider = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(wider.as_i64().is_some_and(|points| points <= 0), "{wider} points too wide");
        browser.run("scrollTo(0, 0);");
        browser.press(TAB);
        assert_ne!(browser.run("return document.activeElement === document.body"), true, "the keyboard works on");

        let server = Server::start_here(folder.path(), [44_100, 256]);
        browser.wait_until("it is back", &format!("{away}.hidden"));
        photograph(&browser, "back.png");
        // Whoever opens the page while it is away sees it at once.
        drop(server);
        browser.wait_until("it has gone again", &format!("!{away}.hidden"));
        let newcomer = browse(&port);
        newcomer.wait_until("a newcomer is told", &format!("!{away}.hidden"));
    });
}

#[test]
fn the_page_fits_a_phone_and_every_control_is_reached_by_keyboard() {
    let name = "the_page_fits_a_phone_and_every_control_is_reached_by_keyboard";
    if !can_browse(name) {
        return;
    }
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let _daemon = begin(folder.path(), &port, "none");
    let browser = browse(&port);
    browser.run("document.querySelectorAll('details').forEach((group) => { group.open = true; });");
    for (width, height) in [(360, 740), (390, 844), (1280, 900)] {
        browser.becomes(width, height);
        let wider = browser.run("return document.documentElement.scrollWidth - innerWidth");
        assert!(wider.as_i64().is_some_and(|points| points <= 0), "{width} points wide: {wider} points too wide");
        for scheme in ["dark", "light"] {
            let feature = serde_json::json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.chrome("Emulation.setEmulatedMedia", &feature);
            browser.wait_until("colours have settled", "document.getAnimations().length === 0");
            photograph(&browser, &format!("{width}-{scheme}.png"));
            let faint = browser.run(CONTRAST);
            assert_eq!(faint, serde_json::json!([]), "these are hard to read in the {scheme} scheme");
        }
    }
    let controls = "[...document.querySelectorAll('button, input, select, summary, a[href]')].filter((e) => !e.disabled && e.getClientRects().length)";
    let all = browser.run(&format!("return {controls}.length")).as_u64().expect("a count");
    assert!(all > 40, "{all} controls are too few");
    let unnamed = browser.run(&format!(
        "return {controls}.filter((e) => !(e.ariaLabel || e.labels?.length || e.innerText.trim())).map((e) => e.outerHTML)"
    ));
    assert_eq!(unnamed, serde_json::json!([]), "a screen reader has no name for these");
    browser.run("document.activeElement.blur(); window.reached = new Set();");
    for _ in 0..=all {
        browser.press(TAB);
        browser.run("window.reached.add(document.activeElement)");
    }
    let missed =
        browser.run(&format!("return {controls}.filter((e) => !window.reached.has(e)).map((e) => e.outerHTML)"));
    assert_eq!(missed, serde_json::json!([]), "the Tab key does not reach these");
    let unseen = browser.run(
        "const e = document.querySelector('[data-control]'); e.focus(); const style = getComputedStyle(e);\
         return e.matches(':focus-visible') && (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 1.5)",
    );
    assert_eq!(unseen, false, "the focus cannot be seen");
}

/// Texts whose contrast is below 4.5 (WCAG AA), with their contrast.
const CONTRAST: &str = "
    const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = parse(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const faint = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || element.disabled || !element.getClientRects().length) continue;
        const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push(`${element.tagName} ${element.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
    }
    return faint;
";
