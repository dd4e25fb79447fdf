//! The terminal, borrowed from the shell, and given back on every way out.

use std::io::{self, Stdout, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// A terminal that is drawn in. Dropping it gives it back; so does a panic, before its message.
pub(super) struct Borrowed {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    broken: Arc<AtomicBool>,
    #[cfg(unix)]
    resumed: Arc<AtomicBool>,
}

impl Borrowed {
    /// Borrows it.
    pub(super) fn open() -> io::Result<Self> {
        let broken = Arc::new(AtomicBool::new(false));
        let says = std::panic::take_hook();
        let seen = Arc::clone(&broken);
        std::panic::set_hook(Box::new(move |panic| {
            seen.store(true, Relaxed);
            give_back();
            says(panic);
        }));
        #[cfg(unix)]
        let resumed = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        signal_hook::flag::register(signal_hook::consts::SIGCONT, Arc::clone(&resumed))?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        let mut borrowed = Self {
            terminal,
            broken,
            #[cfg(unix)]
            resumed,
        };
        borrowed.take()?;
        Ok(borrowed)
    }

    /// Whether a thread panicked, so that the terminal has been given back already.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Draws a picture.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        // Stopped from outside and gone on, the shell has had it in between.
        #[cfg(unix)]
        if self.resumed.swap(false, Relaxed) {
            self.take()?;
        }
        self.terminal.draw(picture).map(drop)
    }

    /// Stops, as Ctrl-Z stops other programs, until the shell lets it go on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            give_back();
            signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
            self.take()?;
        }
        Ok(())
    }

    fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, Clear(ClearType::All))?;
        // A new one knows of nothing on the screen. To clear the old one would wait for the terminal to say where its
        // cursor is, which not all of them do.
        self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        give_back();
    }
}

/// As much as can be done: where the terminal has gone there is nobody to tell.
pub(super) fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    /// Run by the test below, in a terminal.
    #[test]
    #[ignore = "it panics on purpose"]
    fn panics_while_it_draws() {
        let mut borrowed = Borrowed::open().expect("a terminal");
        borrowed.draw(|_| panic!("on purpose")).expect("it panics before");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_its_message() {
        let own = std::env::current_exe().expect("this test");
        let panics = "commands::monitor::terminal::tests::panics_while_it_draws";
        let line = format!("stty -g; {} --ignored --nocapture --exact {panics}; stty -g", own.display());
        let Ok(output) = Command::new("script").args(["-q", "-c", &line, "/dev/null"]).env("SHELL", "/bin/sh").output()
        else {
            println!("left out: no `script` of util-linux here (tools/setup.sh --test installs it)");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let states: Vec<&str> = said.lines().filter(|line| line.matches(':').count() > 20).map(str::trim).collect();
        assert!(states.len() == 2 && states[0] == states[1], "as it was: {said:?}");
        let [begun, given_back, told] = ["\u{1b}[?1049h", "\u{1b}[?1049l", "on purpose"].map(|what| said.find(what));
        assert!(begun.is_some() && begun < given_back && given_back < told, "{said:?}");
    }
}
