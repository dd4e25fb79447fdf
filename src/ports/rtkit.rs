//! RealtimeKit: a system service that gives ordinary users real-time priority.
//!
//! It is spoken to through the programs that come with D-Bus, once, before anything plays: a D-Bus library would be
//! the greater part of this program's dependencies for the sake of one call.

use std::fs;
use std::process::{self, Command, Stdio};

use rlimit::Resource;

/// The greatest priority that RealtimeKit gives as it comes.
const PRIORITY: u32 = 20;

/// RealtimeKit demands this of programs: a real-time thread that runs so long without sleeping ends the program. In
/// microseconds; the player's thread sleeps after each note.
const LONGEST_RUN: u64 = 200_000;

const SERVICE: &str = "org.freedesktop.RealtimeKit1";
const OBJECT: &str = "/org/freedesktop/RealtimeKit1";
const METHOD: &str = "MakeThreadRealtimeWithPID";
const GREATEST: &str = "MaxRealtimePriority";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties.Get";

/// Raises the calling thread to real-time priority, or says why not.
pub(super) fn raise() -> Result<(), String> {
    let thread = thread_number().ok_or("the thread's number is unknown")?;
    limit_runs()?;
    let [process, thread, priority] = [process::id().to_string(), thread.to_string(), PRIORITY.to_string()];
    let mut dbus_send = dbus_send(&format!("{SERVICE}.{METHOD}"));
    dbus_send.args([format!("uint64:{process}"), format!("uint64:{thread}"), format!("uint32:{priority}")]);
    let mut busctl = Command::new("busctl");
    busctl.args(["--system", "--timeout=2", "call", SERVICE, OBJECT, SERVICE, METHOD, "ttu"]);
    busctl.args([process, thread, priority]);
    ask_one_of([dbus_send, busctl]).map(drop)
}

/// The greatest priority that it gives here, or why it gives none.
pub(crate) fn greatest_priority() -> Result<u32, String> {
    let mut dbus_send = dbus_send(PROPERTIES);
    dbus_send.args([format!("string:{SERVICE}"), format!("string:{GREATEST}")]);
    let mut busctl = Command::new("busctl");
    busctl.args(["--system", "--timeout=2", "get-property", SERVICE, OBJECT, SERVICE, GREATEST]);
    number_in(&ask_one_of([dbus_send, busctl])?)
}

/// The number at the end of an answer.
fn number_in(said: &str) -> Result<u32, String> {
    let number = said.split_whitespace().last().and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("it said {:?}", said.trim()))
}

fn dbus_send(method: &str) -> Command {
    let mut dbus_send = Command::new("dbus-send");
    dbus_send.args(["--system", "--print-reply", "--reply-timeout=2000", &format!("--dest={SERVICE}"), OBJECT, method]);
    dbus_send
}

/// Asks through the first of the programs that is there.
fn ask_one_of(mut programs: [Command; 2]) -> Result<String, String> {
    programs.iter_mut().find_map(ask).unwrap_or_else(|| Err("there is no dbus-send or busctl".into()))
}

/// Runs it and gives what it said; `None` where there is no such program.
fn ask(program: &mut Command) -> Option<Result<String, String>> {
    let output = program.stdin(Stdio::null()).output().ok()?;
    Some(if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.lines().next().unwrap_or("it did not say why").trim().to_owned())
    })
}

/// The calling thread's number in the kernel.
fn thread_number() -> Option<u64> {
    // A link to `PROCESS/task/THREAD`.
    fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

fn limit_runs() -> Result<(), String> {
    let limit = Resource::RTTIME.get().and_then(|(_, hard)| {
        let hard = hard.min(LONGEST_RUN);
        Resource::RTTIME.set(hard, hard)
    });
    limit.map_err(|error| format!("RLIMIT_RTTIME cannot be set: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_one_of_this_process() {
        let number = std::thread::spawn(thread_number).join().expect("no panic").expect("Linux has /proc");
        assert_ne!(number, u64::from(process::id()), "it is not the main thread");
        assert!(thread_number().is_some_and(|own| own != number));
    }

    #[test]
    fn a_refusal_is_passed_on_and_a_missing_program_is_no_refusal() {
        let refused = ask(Command::new("sh").args(["-c", "echo 'Error: not for you' >&2; exit 1"]));
        assert_eq!(refused, Some(Err("Error: not for you".into())));
        assert_eq!(ask(Command::new("echo").arg("x")), Some(Ok("x\n".into())));
        assert_eq!(ask(&mut Command::new("no-such-program-here")), None);
    }

    #[test]
    fn the_greatest_priority_is_read_from_what_either_program_says() {
        let dbus_send = "method return time=1 sender=:1.2 -> destination=:1.3\n   variant       int32 20\n";
        assert_eq!([dbus_send, "i 20\n"].map(number_in), [Ok(20), Ok(20)]);
        assert!(number_in("nothing").is_err_and(|why| why.contains("nothing")));
    }
}
