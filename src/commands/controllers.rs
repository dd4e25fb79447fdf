//! `antiphon controllers`: the ready-made maps that there are.

use clap::Args;
use serde_json::{Value, json};

use super::configured::controllers_folder;
use super::log::Log;
use super::{Failure, examples, print_line};
use crate::config::{ControllerMap, ControllerMaps};

#[derive(Debug, Args)]
#[command(after_help = examples::CONTROLLERS)]
pub(super) struct ControllersFlags {
    /// Print this one: its name, or a file
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// As JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) fn run(flags: &ControllersFlags) -> Result<(), Failure> {
    let mut all = ControllerMaps::all(controllers_folder(None).as_deref());
    if let Some(name) = &flags.name {
        let map = all.find(name)?;
        if flags.json {
            print_line(whole(&map));
        } else {
            print_line(map.text.trim_end());
        }
        return Ok(());
    }
    all.broken.iter().for_each(|(_, error)| Log::default().warning(error));
    if flags.json {
        print_line(all.iter().map(described).collect::<Value>());
        return Ok(());
    }
    for map in all.iter() {
        print_line(format_args!("{:28} {}", map.name, map.device));
        map.file.iter().for_each(|file| print_line(format_args!("{:28} {}", "", file.display())));
    }
    Ok(())
}

fn described(map: &ControllerMap) -> Value {
    let file = map.file.as_deref().map(|file| file.display().to_string());
    json!({
        "name": *map.name, "device": map.device, "about": map.about, "source": map.source, "ports": map.ports, "file": file,
    })
}

/// With what each message means.
fn whole(map: &ControllerMap) -> Value {
    let mut whole = described(map);
    let meanings =
        map.map.iter().map(|given| json!({ "message": given.what.message(), "meaning": given.what.meaning() }));
    whole["map"] = meanings.collect();
    whole
}
