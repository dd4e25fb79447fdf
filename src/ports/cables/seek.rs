//! Finding the port that is meant among those that there are.

use super::Direction;
use crate::ports::PortError;

/// A port that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ports) struct Found {
    /// Its whole name, as it is shown. No two ports have the same.
    pub name: String,
    /// The part of it that stays the same when the port comes back.
    pub stable: String,
}

/// The name without the client's number, which ALSA gives anew each time: `Keystation:MIDI 1 20:0` stays
/// `Keystation:MIDI 1 :0`, since the port's number within its client does not change. Other names stay as they are.
pub(in crate::ports) fn stable_name(name: &str) -> String {
    let numbers = name.rsplit_once(' ').and_then(|(before, address)| {
        let (client, port) = address.split_once(':')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(client) && is_number(port)).then(|| format!("{before} :{port}"))
    });
    numbers.unwrap_or_else(|| name.to_owned())
}

/// The port of `there` that is meant by `wanted`, which was attached to the port `before`. Ports that are `taken` by other
/// cables are passed over where one name is as good as another.
pub(super) fn seek<'a>(
    direction: Direction,
    wanted: &str,
    before: Option<&str>,
    there: &'a [Found],
    taken: &[&str],
) -> Result<&'a Found, PortError> {
    for name in before.into_iter().chain([wanted]) {
        let free = || there.iter().filter(|port| !taken.contains(&port.name.as_str()));
        let stable = stable_name(name);
        let same = there.iter().find(|port| port.name == name).filter(|port| !taken.contains(&port.name.as_str()));
        if let Some(port) = same.or_else(|| free().find(|port| port.stable == stable)) {
            return Ok(port);
        }
    }
    let names: Vec<String> = there.iter().map(|port| port.name.clone()).collect();
    find_port(direction.name(), wanted, &names).map(|found| &there[found])
}

/// The port of `there` that `wanted` names: by its full name, else the only one that contains it, in any case.
fn find_port(direction: &'static str, wanted: &str, there: &[String]) -> Result<usize, PortError> {
    if let Some(exact) = there.iter().position(|name| name == wanted) {
        return Ok(exact);
    }
    let fold = wanted.to_lowercase();
    let matching: Vec<usize> = (0..there.len()).filter(|&i| there[i].to_lowercase().contains(&fold)).collect();
    match matching[..] {
        [only] => Ok(only),
        [] => Err(PortError::Unknown { direction, wanted: wanted.to_owned(), there: there.to_vec() }),
        _ => Err(PortError::Ambiguous {
            direction,
            wanted: wanted.to_owned(),
            matching: matching.into_iter().map(|i| there[i].clone()).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(names: &[&str]) -> Vec<Found> {
        names.iter().map(|name| Found { name: (*name).to_owned(), stable: stable_name(name) }).collect()
    }

    fn sought(wanted: &str, before: Option<&str>, there: &[&str], taken: &[&str]) -> Result<String, String> {
        let there = ports(there);
        let found = seek(Direction::From, wanted, before, &there, taken);
        found.map(|port| port.name.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_port_that_comes_back_under_another_number_is_the_same() {
        let there = ["Through:Port-0 14:0", "Keystation:MIDI 1 24:0", "Keystation:MIDI 2 24:1"];
        let before = Some("Keystation:MIDI 1 20:0");
        assert_eq!(sought("MIDI 1", before, &there, &[]).expect("found"), there[1]);
        assert_eq!(sought("Keystation:MIDI 2 20:1", None, &there, &[]).expect("found"), there[2]);
        assert!(sought("Keystation", None, &there, &[]).expect_err("two").contains("several"));
        assert!(sought("Keystation:MIDI 3 20:2", None, &there, &[]).is_err());
    }

    #[test]
    fn of_two_alike_each_cable_has_one() {
        let there = ["Key:MIDI 24:0", "Key:MIDI 28:0"];
        let before = Some("Key:MIDI 20:0");
        assert_eq!(sought("Key:MIDI 20:0", before, &there, &[there[0]]).expect("found"), there[1]);
        assert_eq!(sought("Key:MIDI 28:0", Some(there[1]), &there, &[]).expect("found"), there[1]);
    }

    #[test]
    fn another_port_that_fits_what_was_asked_for_will_do() {
        assert_eq!(sought("key", Some("Keystation 20:0"), &["Key Two 20:0"], &[]).expect("found"), "Key Two 20:0");
    }

    #[test]
    fn only_a_number_of_alsa_is_no_part_of_the_name() {
        for (name, stable) in [
            ("Keystation:MIDI 1 20:0", "Keystation:MIDI 1 :0"),
            ("system:midi_capture_1", "system:midi_capture_1"),
            ("a2j:Keystation [20] (capture): MIDI 1", "a2j:Keystation [20] (capture): MIDI 1"),
            ("20:0", "20:0"),
        ] {
            assert_eq!(stable_name(name), stable);
        }
    }

    fn there() -> Vec<String> {
        ["Midi Through:Port-0 14:0", "Keystation 49 20:0", "Keystation 49 20:1"].map(String::from).to_vec()
    }

    #[test]
    fn a_port_is_found_by_a_part_of_its_name_in_any_case() {
        assert_eq!(find_port("input", "through", &there()).expect("one"), 0);
        assert_eq!(find_port("input", "Keystation 49 20:1", &there()).expect("one"), 2);
    }

    #[test]
    fn an_unknown_port_answers_with_those_there_are() {
        let error = find_port("output", "Juno", &there()).expect_err("none").to_string();
        assert!(error.contains("Juno") && error.contains("Midi Through"), "{error}");
        assert!(find_port("output", "Juno", &[]).expect_err("none").to_string().contains("there is none"));
        let error = find_port("input", "keystation", &there()).expect_err("two").to_string();
        assert!(error.contains("20:0") && error.contains("20:1"), "{error}");
    }
}
