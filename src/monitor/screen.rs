//! The whole screen: whose turn, the roll, a pane with what was chosen, what can be pressed.

use std::time::Instant;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::hands::{ACTIONS, Hands, Pane};
use super::help::help;
use super::look::{Look, Tone};
use super::painting::paint;
use super::panes::{draw_pane, milliseconds};
use super::scene::{Connection, Scene};

/// From this width on the figures have a place beside the pane.
const WIDE: u16 = 124;

/// Width of the figures beside the pane.
const BESIDE: u16 = 62;

/// Rows around roll and pane: turn, legend, titles, keys.
const FRAME: u16 = 4;

/// Draws everything. `place` is where the daemon is.
pub fn draw(buffer: &mut Buffer, scene: &Scene, hands: &mut Hands, look: Look, place: &str, here: Instant) {
    let area = buffer.area;
    buffer.reset();
    if area.is_empty() {
        return;
    }
    // Where there is little room the music comes first.
    let rest = area.height.saturating_sub(FRAME);
    let pane = if rest < 7 { 0 } else { (rest * 9 / 20).clamp(4, 30) };
    let around = match area.height {
        0..=2 => 1,
        3..=10 => 2,
        _ => FRAME,
    };
    let roll = area.height.saturating_sub(around.min(area.height) + pane);
    let row = |y: u16, height: u16| Rect { y: area.y + y, height, ..area }.intersection(area);
    header(buffer, row(0, 1), scene, look, place);
    if scene.connection == Connection::Up {
        paint(&scene.roll, &mut hands.window, scene.now(here), look, row(1, roll), buffer);
    } else {
        absent(buffer, row(1, roll), scene, look, place);
    }
    if around == FRAME {
        legend(buffer, row(1 + roll, 1), scene, look);
    }
    if pane > 0 {
        panes(buffer, row(2 + roll, 1), row(3 + roll, pane), scene, hands, look);
    }
    if around > 1 {
        footer(buffer, row(area.height - 1, 1), scene, hands, look, here);
    }
    if hands.help {
        help(buffer, area, look);
    }
}

/// Writes a line, cut at the end of its place.
pub(super) fn write(buffer: &mut Buffer, area: Rect, spans: Vec<Span<'_>>) {
    if !area.is_empty() {
        buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
    }
}

/// Writes a line at the right end, if there is room left of `used` cells.
fn write_right(buffer: &mut Buffer, area: Rect, used: usize, spans: Vec<Span<'_>>) {
    let line = Line::from(spans);
    let width = u16::try_from(line.width()).unwrap_or(u16::MAX);
    if usize::from(area.width) > used + usize::from(width) + 1 {
        buffer.set_line(area.right() - width, area.y, &line, width);
    }
}

fn width(spans: &[Span<'_>]) -> usize {
    spans.iter().map(Span::width).sum()
}

fn header(buffer: &mut Buffer, area: Rect, scene: &Scene, look: Look, place: &str) {
    let (badge, tone) = match (&scene.connection, scene.turn.as_str()) {
        (Connection::New, _) => ("connecting", Tone::Soft),
        (Connection::Down(_), _) => ("not connected", Tone::Danger),
        (Connection::Up, _) if scene.playing.is_some() => ("A take plays", Tone::Take),
        (Connection::Up, "ai") => ("Antiphon answers", Tone::Ai),
        (Connection::Up, "both") => ("You play together", Tone::Text),
        (Connection::Up, _) => ("You play", Tone::Human),
    };
    let mut spans = vec![Span::styled(format!(" {badge} "), look.badge(tone)), Span::raw("  ")];
    if scene.connection == Connection::Up {
        let between = look.sign(" · ", " - ");
        let style = look.plain(scene.setting("style").unwrap_or_default());
        let mode = look.plain(scene.setting("mode").unwrap_or_default());
        spans.push(Span::styled(mode, Style::new().add_modifier(Modifier::BOLD)));
        // A path is of interest to nobody on stage.
        let model = scene.model.rsplit(['/', '\\']).next().unwrap_or_default();
        let more = format!("{between}style {style}{between}{}", look.plain(model));
        spans.push(Span::styled(more, look.style(Tone::Soft)));
    }
    let used = width(&spans);
    write(buffer, area, spans);
    write_right(buffer, area, used, vec![Span::styled(place.to_owned(), look.style(Tone::Soft))]);
}

/// What stands where the roll would be.
fn absent(buffer: &mut Buffer, area: Rect, scene: &Scene, look: Look, place: &str) {
    let why = match &scene.connection {
        Connection::Down(why) => why.clone(),
        _ => format!("looking for Antiphon at {place}"),
    };
    let room = usize::from(area.width.saturating_sub(4)).max(1);
    let mut lines = wrapped(&look.plain(&why), room);
    if matches!(scene.connection, Connection::Down(_)) {
        lines.push("trying again".into());
    }
    let top = area.height.saturating_sub(u16::try_from(lines.len()).unwrap_or(u16::MAX)) / 2;
    for (line, y) in lines.iter().zip(top..area.height) {
        let left = u16::try_from((usize::from(area.width).saturating_sub(line.len())) / 2).unwrap_or_default();
        let place = Rect { x: area.x + left, y: area.y + y, width: area.width - left.min(area.width), height: 1 };
        write(buffer, place, vec![Span::styled(line.clone(), look.style(Tone::Soft))]);
    }
}

/// A sentence in lines of at most so many letters.
pub(super) fn wrapped(sentence: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > room {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Which colour is whose, how much was played, how well time is kept.
fn legend(buffer: &mut Buffer, area: Rect, scene: &Scene, look: Look) {
    let sign = |tone| match (look.has_colours(), tone) {
        (true, Tone::Plan) | (false, Tone::Human) => look.sign("██", "##"),
        (true, Tone::Take) => look.sign("██", "++"),
        (true, _) => look.sign("██", if tone == Tone::Human { "##" } else { "==" }),
        (false, Tone::Ai) => look.sign("▒▒", "=="),
        (false, Tone::Take) => look.sign("▓▓", "++"),
        (false, _) => look.sign("░░", "--"),
    };
    let mark = |tone| Span::styled(sign(tone), look.style(tone));
    let soft = |text: String| Span::styled(text, look.style(Tone::Soft));
    let mut spans = vec![
        Span::raw("   "),
        mark(Tone::Human),
        soft(format!(" you {}   ", scene.notes.human)),
        mark(Tone::Ai),
        soft(format!(" Antiphon {}   ", scene.notes.ai)),
        mark(Tone::Plan),
        soft(" planned".into()),
    ];
    // Only while one plays: the figures beside it need the room.
    if scene.playing.is_some() {
        spans.extend([Span::raw("   "), mark(Tone::Take), soft(" a take".into())]);
    }
    let used = width(&spans);
    write(buffer, area, spans);
    if let Some(figures) = &scene.figures {
        let (rate, is_good) = on_time(figures);
        let tone = if is_good { Tone::Soft } else { Tone::Danger };
        let words = match figures.planned_to_sent {
            spread if spread.count == 0 => "nothing sent yet".to_owned(),
            spread => format!("on time {rate}   p99 {} ms", milliseconds(spread.p99_us)),
        };
        let spans = vec![Span::styled(words, look.style(tone))];
        write_right(buffer, area, used, spans);
    }
}

/// The share of notes that left on time, in words, and whether it is as it should be.
pub(super) fn on_time(figures: &crate::figures::Report) -> (String, bool) {
    let notes = figures.notes;
    let all = notes.on_time + notes.late + notes.missed;
    if all == 0 {
        return (String::from("-"), true);
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
    let share = 100.0 * notes.on_time as f64 / all as f64;
    (format!("{share:.2} %"), share >= 99.0)
}

fn panes(buffer: &mut Buffer, titles: Rect, area: Rect, scene: &Scene, hands: &Hands, look: Look) {
    let beside = if area.width >= WIDE { BESIDE } else { 0 };
    let own = Rect { width: area.width - beside, ..area };
    let rule = look.sign("─", "-");
    let faint = look.style(Tone::Faint);
    write(buffer, titles, vec![Span::styled(rule.repeat(usize::from(titles.width)), faint)]);
    let is_short = titles.width < 70;
    let mut spans = vec![Span::styled(rule, faint)];
    for (number, pane) in (1..).zip(Pane::ALL) {
        let is_open = pane == hands.pane;
        let has_trouble = pane == Pane::Timing && !scene.losses.is_empty();
        let title = if is_short && !is_open { format!(" {number} ") } else { format!(" {number} {} ", pane.title()) };
        let style = match (is_open, has_trouble) {
            (true, _) => look.badge(Tone::Text),
            (false, true) => look.style(Tone::Danger),
            (false, false) => look.style(Tone::Soft),
        };
        spans.extend([Span::styled(title, style), Span::styled(rule, faint)]);
    }
    write(buffer, titles, spans);
    draw_pane(hands.pane, buffer, own, scene, Some(hands), look);
    if beside > 0 {
        let other = if hands.pane == Pane::Timing { Pane::Ports } else { Pane::Timing };
        let place = Rect { x: own.right() + 2, width: beside - 2, ..area };
        let title = Rect { x: place.x, width: place.width, ..titles };
        write(buffer, title, vec![Span::styled(format!(" {} ", other.title()), look.style(Tone::Soft))]);
        draw_pane(other, buffer, place, scene, None, look);
    }
}

/// What went wrong, what is waited for, or what can be pressed.
fn footer(buffer: &mut Buffer, area: Rect, scene: &Scene, hands: &Hands, look: Look, here: Instant) {
    let one = |text: String, tone: Tone| vec![Span::styled(look.plain(&text), look.style(tone))];
    let spans = if let Some(typed) = &hands.typed {
        let setting = scene.settings.get(hands.row(scene.settings.len()));
        let name = setting.map_or("", |row| row.name.as_str());
        let mut spans = one(format!(" {name}: {typed}"), Tone::Text);
        spans.push(Span::styled(" ", Style::new().add_modifier(Modifier::REVERSED)));
        spans.extend(one("   Enter sets it, Esc leaves it".into(), Tone::Soft));
        spans
    } else if let Some(take) = &hands.deleting {
        one(format!(" delete {take}? It cannot be brought back. y deletes, any other key does not"), Tone::Danger)
    } else if let Some(meaning) = &scene.knobs.learning {
        let kind = scene.knobs.waits_for.as_deref().unwrap_or("what moves next");
        one(format!(" waiting for {kind} that shall be {meaning}; l stops it"), Tone::Ai)
    } else if let Some(trouble) = scene.trouble(here) {
        one(format!(" {trouble}"), Tone::Danger)
    } else {
        return keys(buffer, area, hands, look);
    };
    write(buffer, area, spans);
}

/// The keys that fit, the most wanted first.
fn keys(buffer: &mut Buffer, area: Rect, hands: &Hands, look: Look) {
    let arrows = look.sign("←→", "<>");
    let own: &[(&str, &str)] = match hands.pane {
        Pane::Settings => &[(arrows, "change"), ("Enter", "type"), ("d", "default"), ("l", "learn")],
        Pane::Timing => &[],
        Pane::Ports => &[("Enter", "attach or detach")],
        Pane::Knobs => &[("x", "forget")],
        Pane::Takes => &[("Enter", "play"), ("x", "delete"), ("r", "look again")],
        Pane::Models => &[("Enter", "choose"), ("r", "look again")],
    };
    let actions = ACTIONS.iter().map(|(key, _, name)| (key.to_string(), *name));
    let actions: Vec<(String, &str)> = actions.chain([("m".to_owned(), "mode"), ("?".to_owned(), "help")]).collect();
    let all = actions.iter().map(|(key, name)| (key.as_str(), *name)).chain(own.iter().copied()).chain([("q", "quit")]);
    let mut spans = vec![Span::raw(" ")];
    for (key, name) in all {
        let more = [
            Span::styled(key.to_owned(), Style::new().add_modifier(Modifier::BOLD)),
            Span::styled(format!(" {name}  "), look.style(Tone::Soft)),
        ];
        if width(&spans) + width(&more) <= usize::from(area.width) + 2 {
            spans.extend(more);
        }
    }
    write(buffer, area, spans);
}

#[cfg(test)]
mod tests;
