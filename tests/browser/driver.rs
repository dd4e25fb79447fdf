//! A headless Chromium, driven by ChromeDriver's own protocol (W3C WebDriver) over a plain socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Generous, because the machine may be busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is a browser here, and what drives it.
pub fn is_installed() -> bool {
    Command::new("chromedriver").arg("--version").stdin(Stdio::null()).output().is_ok()
}

/// A browser with one page; it ends with its owner.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens the address in a new browser that knows nothing of earlier ones.
    pub fn open(address: &str) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("its output is piped")).lines();
        let port = loop {
            let line = lines.next().expect("chromedriver says its port").expect("as text");
            let port = line.split("successfully on port ").nth(1).map(|rest| rest.trim_end_matches('.').parse());
            if let Some(Ok(port)) = port {
                break port;
            }
        };
        // Nobody reads what else it says; a closed pipe would end it.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &profile,
        ];
        let options = json!({ "args": arguments });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let opened = browser.call("POST", "/session", &wanted);
        browser.session = opened["sessionId"].as_str().expect("a session").to_owned();
        browser.ask("POST", "url", &json!({ "url": address }));
        browser
    }

    /// What a function body gives back on the page.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The same for a body that hands its result to `arguments[0]` later.
    pub fn run_later(&self, script: &str) -> Value {
        self.ask("POST", "execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until the expression is true on the page.
    pub fn wait_until(&self, what: &str, expression: &str) {
        let begun = Instant::now();
        while self.run(&format!("return Boolean({expression})")) != Value::Bool(true) {
            let text = self.run("return document.body.innerText");
            assert!(begun.elapsed() < PATIENCE, "{what}: it never came; the page says:\n{text}");
            sleep(Duration::from_millis(30));
        }
    }

    /// Presses a key wherever the focus is.
    pub fn press(&self, key: &str) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let keyboard = json!([{ "type": "key", "id": "keyboard", "actions": keys }]);
        self.ask("POST", "actions", &json!({ "actions": keyboard }));
    }

    /// Asks the browser itself, by its own protocol.
    pub fn chrome(&self, command: &str, parameters: &Value) -> Value {
        self.ask("POST", "goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Makes the window as large as a screen of so many points.
    pub fn becomes(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600 });
        self.chrome("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Keeps a picture of the whole page.
    pub fn photograph(&self, path: &Path) {
        let taken = self.chrome("Page.captureScreenshot", &json!({ "captureBeyondViewport": false }));
        std::fs::write(path, from_base64(taken["data"].as_str().expect("a picture"))).expect("the picture is kept");
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, &format!("/session/{}/{path}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n", self.port);
        write!(socket, "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .expect("chromedriver takes it");
        let mut answer = BufReader::new(socket);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).expect("an answer");
            match line.trim().to_ascii_lowercase().split_once(':') {
                Some(("content-length", digits)) => length = digits.trim().parse().expect("a length"),
                None if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut bytes = vec![0; length];
        answer.read_exact(&mut bytes).expect("a whole answer");
        let mut answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, and what drives it after that.
        if !std::thread::panicking() && !self.session.is_empty() {
            self.call("DELETE", &format!("/session/{}", self.session), &json!({}));
        } else if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = write!(socket, "DELETE /session/{} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.session);
            let _ = socket.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = socket.read(&mut [0; 64]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)) {
        bits = (bits << 6) | u32::try_from(digit).expect("below 64");
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 255).expect("eight bits"));
        }
    }
    bytes
}
