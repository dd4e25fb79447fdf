//! Where the user's configuration lies.

use std::path::PathBuf;

/// The configuration file in the user's folder.
pub const FILE_NAME: &str = "antiphon.toml";

/// The user's folder for Antiphon: `antiphon` in `XDG_CONFIG_HOME` or `~/.config`, on macOS in
/// `~/Library/Application Support`, on Windows in `%APPDATA%`. `None` where the system names no home.
pub fn user_folder() -> Option<PathBuf> {
    let of_system = if cfg!(windows) {
        from("APPDATA")
    } else if cfg!(target_vendor = "apple") {
        home().map(|home| home.join("Library/Application Support"))
    } else {
        from("XDG_CONFIG_HOME").or_else(|| home().map(|home| home.join(".config")))
    };
    of_system.map(|folder| folder.join("antiphon"))
}

/// The user's configuration file, whether it is there or not.
pub fn user_file() -> Option<PathBuf> {
    user_folder().map(|folder| folder.join(FILE_NAME))
}

/// `~/songs` with the user's home for `~`; anything else as it is.
pub fn with_home(path: &str) -> String {
    match (path.strip_prefix("~/"), home()) {
        (Some(rest), Some(home)) => home.join(rest).display().to_string(),
        _ => path.to_owned(),
    }
}

fn home() -> Option<PathBuf> {
    from(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
}

fn from(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
