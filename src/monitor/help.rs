//! The keys and what they do, over all that is drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::look::{Look, Tone};
use super::screen::write;

/// One line each.
const HELP: [&str; 21] = [
    "h            hand over: the answer begins at once",
    "t            take back: it ends, until you have played",
    "p            panic: silence at once",
    "s            split the take: the music goes on in another",
    "b            play the newest take back, or stop it",
    "m            next mode",
    "",
    "1 to 6, Tab  settings, timing, ports, knobs, takes, models",
    "arrows       choose a row, change a setting;",
    "             with Shift ten steps",
    "Enter        type a value, attach a port, play a take,",
    "             choose a model",
    "d            the setting's default",
    "l            the next knob that moves is this setting;",
    "             again: stop waiting",
    "x            forget a knob, delete a take",
    "",
    "q, Ctrl-C    leave; Antiphon plays on",
    "Ctrl-Z       back to the shell; fg returns",
    "",
    "any key closes this",
];

/// Draws the page of keys into the middle of `area`.
pub(super) fn help(buffer: &mut Buffer, area: Rect, look: Look) {
    let wanted = (62, u16::try_from(HELP.len()).unwrap_or(u16::MAX) + 2);
    let (width, height) = (area.width.min(wanted.0), area.height.min(wanted.1));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let edge = look.style(Tone::Soft);
    let [horizontal, vertical] = [look.sign("─", "-"), look.sign("│", "|")];
    let [ul, ur, ll, lr] = ["┌", "┐", "└", "┘"].map(|corner| look.sign(corner, "+"));
    for y in place.top()..place.bottom() {
        for x in place.left()..place.right() {
            let (left, right) = (x == place.left(), x + 1 == place.right());
            let sign = match (y == place.top(), y + 1 == place.bottom()) {
                (true, _) if left => ul,
                (true, _) if right => ur,
                (_, true) if left => ll,
                (_, true) if right => lr,
                (true, _) | (_, true) => horizontal,
                _ if left || right => vertical,
                _ => " ",
            };
            let cell = &mut buffer[(x, y)];
            cell.reset();
            cell.set_symbol(sign).set_style(edge);
        }
    }
    for (line, y) in HELP.iter().zip(place.top() + 1..place.bottom().saturating_sub(1)) {
        let inside = Rect { x: place.x + 2, y, width: place.width.saturating_sub(4), height: 1 };
        write(buffer, inside, vec![Span::raw(*line)]);
    }
}
