//! The built command and its configuration: the file, the environment, and what counts in the end.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A user with a home of their own.
struct User {
    home: TempDir,
}

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Where the user's file lies.
    fn file(&self) -> PathBuf {
        if cfg!(target_vendor = "apple") {
            self.path("Library/Application Support/antiphon/antiphon.toml")
        } else {
            self.path("config/antiphon/antiphon.toml")
        }
    }

    fn writes(&self, text: &str) {
        let file = self.file();
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
    }

    fn runs(&self, flags: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_antiphon"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANTIPHON_") {
                command.env_remove(name);
            }
        }
        let config = self.path("config");
        command
            .args(flags)
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("APPDATA", &config)
            .env("XDG_CONFIG_HOME", &config)
            .envs(environment.iter().copied())
            .output()
            .expect("it starts")
    }

    /// Runs it, demands exit code 2, and gives back what it said.
    fn is_refused(&self, flags: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.runs(flags, environment);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?} said: {said}");
        said
    }

    /// What `--check --json` says of one name: its value, and where it comes from.
    fn checks(&self, flags: &[&str], environment: &[(&str, &str)], name: &str) -> (String, Value) {
        let flags = [&["jam", "--check", "--json"], flags].concat();
        let output = self.runs(&flags, environment);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let rows = report["effective"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name}"));
        (row["value"].as_str().unwrap_or_default().to_owned(), row["from"].clone())
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let user = User::new();
    let variables = [("ANTIPHON_CHANNEL", "5"), ("ANTIPHON_PATIENCE", "3"), ("ANTIPHON_CONNECT_FROM", "one;two")];
    assert_eq!(user.checks(&[], &[], "channel").0, "1");
    assert_eq!(user.checks(&[], &[], "patience").1["kind"], "default");

    user.writes("channel = 4\nconnect-from = [\"keys\"]\n\n[settings]\npatience = 2\ntemperature = 0.5\n");
    let (value, from) = user.checks(&[], &[], "channel");
    assert_eq!((value.as_str(), &from["line"]), ("4", &Value::from(1)));
    assert_eq!(from["file"], user.file().display().to_string());
    let (value, from) = user.checks(&[], &[], "velocity-temperature");
    assert_eq!((value.as_str(), &from["line"]), ("0.5", &Value::from(6)), "one line sets all four");

    let (value, from) = user.checks(&[], &variables, "channel");
    assert_eq!((value.as_str(), &from["variable"]), ("5", &Value::from("ANTIPHON_CHANNEL")));
    assert_eq!(user.checks(&[], &variables, "connect-from").0, "one, two");
    assert_eq!(user.checks(&[], &variables, "patience").0, "3");

    let flags = ["--channel", "6", "--set", "patience=4", "--connect-from", "three", "--headless"];
    let (value, from) = user.checks(&flags, &variables, "channel");
    assert_eq!((value.as_str(), &from["flag"]), ("6", &Value::from("--channel")));
    let (value, from) = user.checks(&flags, &variables, "patience");
    assert_eq!((value.as_str(), &from["flag"]), ("4", &Value::from("--set")));
    assert_eq!(user.checks(&flags, &variables, "connect-from").0, "three");
    assert_eq!(user.checks(&flags, &variables, "mode").1["flag"], "--headless");
}

#[test]
fn the_file_is_heeded_by_what_plays_and_a_switch_can_be_switched_off() {
    let user = User::new();
    user.writes(
        "no-session = true\nseed = 7\nengine = \"embedded\"\nout = \"from-file.mid\"\n[settings]\nmode = \"solo\"\n",
    );
    let play = ["jam", "--headless", "--virtual-time", "--seconds", "5"];
    assert!(user.runs(&play, &[]).status.success());
    assert!(user.path("from-file.mid").exists());
    assert!(!user.path("from-file.session").exists(), "the file says so");
    assert!(user.runs(&[&play[..], &["--no-session=false"]].concat(), &[]).status.success());
    assert!(user.path("from-file.session").exists(), "the flag says otherwise");

    let generate = ["generate", "--notes", "3", "--out", "b.mid"];
    assert!(user.runs(&generate, &[]).status.success());
    let said = user.runs(&[&generate[..], &["--config", "none"]].concat(), &[("ANTIPHON_STYLE", "waltz")]);
    assert_eq!(said.status.code(), Some(3), "the model knows no such style");
}

#[test]
fn mistakes_end_with_code_2_and_a_sentence_that_says_where() {
    let user = User::new();
    user.writes("chanel = 4\n");
    for flags in [&["jam"][..], &["--check"], &["generate", "--notes", "3"]] {
        let said = user.is_refused(flags, &[]);
        assert!(said.contains("antiphon.toml line 1") && said.contains("\"channel\""), "{said}");
    }
    assert!(user.runs(&["ports"], &[]).status.success(), "what does not read it does not mind");
    assert!(user.runs(&["--check"], &[("ANTIPHON_CONFIG", "none")]).status.success());
    let said = user.is_refused(&["--check", "--config", "gone.toml"], &[]);
    assert!(said.contains("gone.toml") && said.contains("antiphon init"), "{said}");
    let said = user.is_refused(&["--check", "--config", "none"], &[("ANTIPHON_CHANNEL", "17")]);
    assert!(said.contains("ANTIPHON_CHANNEL: channel cannot be \"17\""), "{said}");
    let said = user.runs(&["--check", "--config", "none"], &[("ANTIPHON_TEMPRATURE", "1")]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("is ANTIPHON_TEMPERATURE meant?"), "{said:?}");
}

#[test]
fn init_writes_a_file_that_is_valid_and_writes_over_none() {
    let user = User::new();
    assert!(user.runs(&["init"], &[]).status.success());
    let text = fs::read_to_string(user.file()).expect("written");
    assert!(text.contains("#patience = 1.5") && text.contains("a number from 0 to 10 x"), "{text}");
    assert!(user.runs(&["--check"], &[]).status.success());
    user.writes("# mine\n");
    assert!(user.is_refused(&["init"], &[]).contains("--force"));
    assert_eq!(fs::read_to_string(user.file()).expect("there"), "# mine\n");
    assert!(user.runs(&["init", "--force"], &[]).status.success());
    assert_eq!(fs::read_to_string(user.file()).expect("there"), text);
    assert!(user.runs(&["init", "--config", "deep/er/my.toml"], &[]).status.success());
    assert!(user.path("deep/er/my.toml").exists());
}

#[test]
fn a_ready_made_map_counts_where_nothing_else_is_said_and_check_says_whence_each_message_has_its_meaning() {
    let user = User::new();
    user.writes("controller = [\"korg-nanokontrol2\"]\n[map]\ncc17 = \"density\"\ncc18 = \"music\"\n");
    let from = |name: &str| user.checks(&["--map", "cc20=snap"], &[], name);
    assert_eq!(from("controller").0, "korg-nanokontrol2");
    let (meaning, source) = from("cc16");
    assert_eq!(meaning, "temperature:0.5..1.5");
    assert_eq!((&source["kind"], &source["controller"]), (&"controller".into(), &"korg-nanokontrol2".into()));
    assert_eq!(from("cc17"), ("density".to_owned(), from("cc17").1), "the file goes before it");
    assert_eq!((from("cc17").1["kind"].clone(), from("cc18").0), ("file".into(), "music".to_owned()));
    assert_eq!((from("cc20").0.as_str(), &from("cc20").1["flag"]), ("snap", &Value::from("--map")));
    let rows = user.runs(&["--check"], &[]);
    let text = String::from_utf8_lossy(&rows.stdout).into_owned();
    assert_eq!(text.matches("\ncc17 ").count(), 1, "each message once: {text}");

    let said = user.is_refused(&["--check"], &[("ANTIPHON_CONTROLLER", "korg-nanocontrol2")]);
    assert!(said.contains("\"korg-nanokontrol2\"") && said.contains("antiphon controllers"), "{said}");
    assert_eq!(user.checks(&[], &[("ANTIPHON_CONTROLLER", "auto;generic-keyboard")], "cc66").0, "hand-over");

    let own = user.file().with_file_name("controllers");
    fs::create_dir_all(&own).expect("made");
    fs::write(own.join("mine.toml"), "name = \"my box\"\n[map]\ncc16 = [\"memory\", \"panic\"]\n").expect("written");
    fs::write(own.join("broken.toml"), "[map]\ncc16 = \"memry\"\n").expect("written");
    let (_, source) = user.checks(&["--controller", "mine"], &[], "cc16");
    assert_eq!(source["line"], 3, "{source}");
    let said = user.is_refused(&["jam", "--check", "--controller", "broken"], &[]);
    assert!(said.contains("broken.toml line 2") && said.contains("\"memory\""), "{said}");
    let listed = user.runs(&["controllers", "--json"], &[]);
    assert!(listed.status.success() && String::from_utf8_lossy(&listed.stderr).contains("broken.toml line 2"));
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert!(listed.as_array().expect("a list").iter().any(|map| map["device"] == "my box"), "{listed}");
    let one = user.runs(&["controllers", "mine", "--json"], &[]);
    let one: Value = serde_json::from_slice(&one.stdout).expect("JSON");
    assert_eq!(one["map"][1], serde_json::json!({ "message": "cc16", "meaning": "panic" }));
    let without = user.is_refused(&["jam", "--check", "--config", "none", "--controller", "mine"], &[]);
    assert!(without.contains("no controller map"), "{without}");
}
