//! Writes the configuration file: whole at any moment, and of what was learnt nothing else.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::ConfigError;
use crate::control::MapChange;
use crate::recorder::ordinary;

/// How a file begins that is made for what was learnt.
const BEGINNING: &str = "# Antiphon's configuration; `antiphon init --force` writes one with all there is to set.\n";

/// Keeps a change of the MIDI messages in the file's table `[map]`. Comments and everything else stay as they are; the
/// file is whole at any moment, and made where it is missing.
///
/// # Errors
/// When the file cannot be read or written, or is no TOML; it is then as it was.
pub fn keep(path: &Path, change: &MapChange) -> Result<(), ConfigError> {
    let shared: Arc<Path> = Arc::from(path);
    let text = match fs::read_to_string(path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => BEGINNING.to_owned(),
        read => read.map_err(|cause| ConfigError::Unreadable { path: Arc::clone(&shared), cause })?,
    };
    let unkept = |why: String| ConfigError::Unkept { path: Arc::clone(&shared), why };
    let text = changed(&text, change).map_err(unkept)?;
    replace(path, &text).map_err(|cause| unkept(cause.to_string()))
}

/// The text with the change.
fn changed(text: &str, change: &MapChange) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    if !document.contains_key("map") {
        // Behind all that is there, comments too.
        let mut table = Table::new();
        table.decor_mut().set_prefix(document.trailing().as_str().unwrap_or_default().to_owned());
        document.set_trailing("");
        document.insert("map", Item::Table(table));
    }
    let map = document["map"].as_table_like_mut().ok_or("map is no table in it")?;
    match change {
        MapChange::Learnt { message, meaning } => {
            let mut value = Value::from(meaning.as_str());
            if let Some(item) = map.get_mut(message) {
                // In its place, so that the comments around it stay.
                if let Some(there) = item.as_value() {
                    *value.decor_mut() = there.decor().clone();
                }
                *item = Item::Value(value);
            } else {
                map.insert(message, Item::Value(value));
            }
        }
        MapChange::Forgotten(messages) => {
            for message in messages {
                map.remove(message);
            }
        }
        // It was the file that said so.
        MapChange::Replaced => {}
    }
    Ok(document.to_string())
}

/// Replaces the file in one step, or makes it. A link stays a link.
///
/// # Errors
/// When it cannot be written, or is there and no ordinary file; it is then as it was.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    ordinary(path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}.tmp", std::process::id()));
    let whole = || {
        let mut file = fs::File::create(&beside)?;
        if let Ok(there) = fs::metadata(&path) {
            file.set_permissions(there.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&beside, &path)
    };
    // Best effort: the cause of the failure is what the user must hear.
    whole().inspect_err(|_| drop(fs::remove_file(&beside)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(message: &str, meaning: &str) -> MapChange {
        MapChange::Learnt { message: message.into(), meaning: meaning.into() }
    }

    #[test]
    fn what_is_learnt_and_forgotten_leaves_the_rest_of_the_file_as_it_is() {
        let text = "# mine\nchannel = 3 # third\n\n[map] # knobs\n# the first\ncc20 = \"mode\" # here\n\n[settings]\nmode = \"solo\"\n";
        let with = changed(text, &learnt("cc74@1", "temperature")).expect("TOML");
        assert_eq!(with, text.replace("# here\n", "# here\n\"cc74@1\" = \"temperature\"\n"));
        let again = changed(&with, &learnt("cc20", "patience:0.5..3")).expect("TOML");
        assert_eq!(again, with.replace("\"mode\" # here", "\"patience:0.5..3\" # here"));
        let without = changed(&with, &MapChange::Forgotten(vec!["cc74@1".into(), "cc9".into()])).expect("TOML");
        assert_eq!(without, text);
        assert_eq!(changed("", &learnt("bend", "memory")).expect("TOML"), "[map]\nbend = \"memory\"\n");
        assert!(changed("map = 3", &learnt("bend", "memory")).is_err());
        assert!(changed("what?", &learnt("bend", "memory")).is_err());
    }

    #[test]
    fn a_file_that_is_missing_is_made_and_a_link_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/antiphon.toml");
        keep(&path, &learnt("cc1@1", "memory")).expect("kept");
        assert!(fs::read_to_string(&path).expect("made").ends_with("\n[map]\n\"cc1@1\" = \"memory\"\n"));
        #[cfg(unix)]
        {
            let link = folder.path().join("link.toml");
            std::os::unix::fs::symlink(&path, &link).expect("linked");
            keep(&link, &learnt("cc2@1", "memory")).expect("kept");
            assert!(fs::symlink_metadata(&link).expect("there").file_type().is_symlink());
            assert!(fs::read_to_string(&path).expect("there").contains("cc2@1"));
        }
    }
}
