//! The panes below the roll: settings, figures, ports, knobs, takes, models.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::hands::{Hands, Pane, PortRow, port_rows};
use super::look::{Look, Tone};
use super::scene::Scene;
use super::screen::{on_time, wrapped, write};
use super::wire::{Described, Kind, Take};
use crate::figures::Summary;
use crate::ports::{CableState, Direction};

/// Cells of a slider.
const SLIDER: u16 = 12;

/// From this width on settings have sliders.
const WITH_SLIDERS: u16 = 62;

/// Draws a pane; a row is chosen in the one that `chosen` is about.
pub(super) fn draw_pane(
    pane: Pane,
    buffer: &mut Buffer,
    area: Rect,
    scene: &Scene,
    chosen: Option<&Hands>,
    look: Look,
) {
    let mut sheet = Sheet { buffer, area, look, chosen };
    match pane {
        Pane::Settings => settings(&mut sheet, scene),
        Pane::Timing => timing(&mut sheet, scene),
        Pane::Ports => ports(&mut sheet, scene),
        Pane::Knobs => knobs(&mut sheet, scene),
        Pane::Takes => takes(&mut sheet, scene),
        Pane::Models => models(&mut sheet, scene),
    }
}

/// A place to write lines on, from its top.
struct Sheet<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    look: Look,
    /// Where a row is chosen.
    chosen: Option<&'a Hands>,
}

impl Sheet<'_> {
    fn line(&mut self, spans: Vec<Span<'_>>) {
        write(self.buffer, Rect { height: 1.min(self.area.height), ..self.area }, spans);
        self.area.y += 1.min(self.area.height);
        self.area.height = self.area.height.saturating_sub(1);
    }

    fn soft(&self, text: impl AsRef<str>) -> Span<'static> {
        Span::styled(self.look.plain(text.as_ref()), self.look.style(Tone::Soft))
    }

    fn text(&self, text: impl AsRef<str>) -> Span<'static> {
        Span::raw(self.look.plain(text.as_ref()))
    }

    /// The rows that fit, around the one that is chosen, which is marked.
    fn rows<T>(&mut self, rows: &[T], spans: impl Fn(&Self, &T) -> Vec<Span<'static>>) {
        let chosen = self.chosen.map(|hands| hands.row(rows.len()));
        let high = usize::from(self.area.height);
        let first = chosen.unwrap_or(0).saturating_sub(high / 2).min(rows.len().saturating_sub(high));
        for (place, row) in rows.iter().enumerate().skip(first).take(high) {
            let is_chosen = chosen == Some(place);
            let mark = if is_chosen { self.look.sign("› ", "> ") } else { "  " };
            let line = std::iter::once(Span::raw(mark)).chain(spans(self, row)).collect();
            if is_chosen {
                let place = Rect { height: 1.min(self.area.height), ..self.area };
                self.buffer.set_style(place, self.look.chosen());
            }
            self.line(line);
        }
    }
}

fn settings(sheet: &mut Sheet<'_>, scene: &Scene) {
    let look = sheet.look;
    // Always the same number of lines, so that the rows stand still.
    let about = if sheet.area.height < 8 { sheet.area.height / 4 } else { 2 };
    let mut below = Rect { y: sheet.area.bottom() - about, height: about, ..sheet.area };
    sheet.area.height -= about;
    let with_sliders = sheet.area.width >= WITH_SLIDERS;
    sheet.rows(&scene.settings, |sheet, row| {
        let value = scene.shown(row);
        let is_changed = value != row.default && row.value != row.default;
        let tone = if is_changed { Tone::Human } else { Tone::Text };
        let mark = if is_changed { look.sign("•", "*") } else { " " };
        let words = if row.unit.is_empty() { value.to_owned() } else { format!("{value} {}", row.unit) };
        let mut spans = vec![
            sheet.text(format!("{:21}", row.name)),
            Span::styled(mark, look.style(tone)),
            Span::styled(format!("{:17}", look.plain(&words)), look.style(tone)),
        ];
        if with_sliders {
            spans.push(Span::styled(slider(row, look), look.style(if is_changed { tone } else { Tone::Soft })));
            spans.push(sheet.soft(format!("  {}", takes_what(row, scene))));
        }
        spans
    });
    let chosen = sheet.chosen.and_then(|hands| scene.settings.get(hands.row(scene.settings.len())));
    let room = usize::from(below.width).saturating_sub(3).max(1);
    for line in wrapped(chosen.map_or("", |row| &row.about), room) {
        let spans = vec![sheet.soft(format!("  {line}"))];
        write(sheet.buffer, Rect { height: 1.min(below.height), ..below }, spans);
        below.y += 1.min(below.height);
        below.height = below.height.saturating_sub(1);
    }
}

/// Where a value lies between its ends; blank for what has no order.
fn slider(row: &Described, look: Look) -> String {
    let (Ok(value), true) = (row.value.parse::<f64>(), row.kind != Kind::Choice && row.name != "style") else {
        return " ".repeat(usize::from(SLIDER));
    };
    let share = if row.low > 0.0 && row.high / row.low >= 100.0 {
        (value / row.low).ln() / (row.high / row.low).ln()
    } else {
        (value - row.low) / (row.high - row.low)
    };
    let knob = (0..SLIDER).rev().find(|cell| f64::from(*cell) <= share * f64::from(SLIDER - 1) + 0.5).unwrap_or(0);
    let [before, at, after] = [look.sign("━", "="), look.sign("●", "o"), look.sign("─", "-")];
    (0..SLIDER)
        .map(|cell| match cell.cmp(&knob) {
            std::cmp::Ordering::Less => before,
            std::cmp::Ordering::Equal => at,
            std::cmp::Ordering::Greater => after,
        })
        .collect()
}

fn takes_what(row: &Described, scene: &Scene) -> String {
    match (&row.choices, row.name.as_str()) {
        (_, "style") => scene.styles.join(" "),
        (Some(choices), _) => choices.join(" "),
        (None, _) => {
            // Ends that were single precision over there.
            let [low, high] = [row.low, row.high].map(|end| (end * 1e5).round() / 1e5);
            format!("{low} to {high}")
        }
    }
}

/// Milliseconds with three decimals.
pub(super) fn milliseconds(us: u64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

fn timing(sheet: &mut Sheet<'_>, scene: &Scene) {
    let Some(figures) = &scene.figures else {
        let waiting = vec![sheet.soft("  no figures have come yet")];
        return sheet.line(waiting);
    };
    let heading = format!("  {:23}{:>8}{:>9}{:>9}{:>9}", "", "count", "p50 ms", "p99 ms", "max ms");
    let heading = vec![sheet.soft(heading)];
    sheet.line(heading);
    let rows: [(&str, &Summary); 6] = [
        ("planned to sent", &figures.planned_to_sent),
        ("first note of an answer", &figures.first_note),
        ("your note to silence", &figures.barge_in),
        ("choosing a note", &figures.note_sampled),
        ("your note to state", &figures.note_to_state),
        ("plan revised", &figures.plan_revised),
    ];
    for (name, spread) in rows {
        let numbers = if spread.count == 0 {
            format!("{:>8}{:>9}{:>9}{:>9}", 0, "-", "-", "-")
        } else {
            let [p50, p99, max] = [spread.p50_us, spread.p99_us, spread.max_us].map(milliseconds);
            format!("{:>8}{p50:>9}{p99:>9}{max:>9}", spread.count)
        };
        let spans = vec![sheet.soft(format!("  {name:23}")), sheet.text(numbers)];
        sheet.line(spans);
    }
    let (rate, _) = on_time(figures);
    let notes = figures.notes;
    let words = format!(
        "  on time {rate}, {} late, {} missed, {} held back; plan ran dry {} times",
        notes.late, notes.missed, notes.gated, notes.plan_ran_dry
    );
    let spans = vec![sheet.soft(words)];
    sheet.line(spans);
    let lost = if scene.losses.is_empty() {
        sheet.soft("  lost: nothing")
    } else {
        Span::styled(sheet.look.plain(&format!("  lost: {}", scene.losses)), sheet.look.style(Tone::Danger))
    };
    sheet.line(vec![lost]);
}

fn ports(sheet: &mut Sheet<'_>, scene: &Scene) {
    let own = |name: &Option<String>| name.clone().unwrap_or_else(|| "no port".into());
    let [ear, mouth] = [&scene.own_ports.listening, &scene.own_ports.answering].map(own);
    let heading = format!("  {}: listens on {ear}, answers on {mouth}", scene.ports.system);
    let heading = vec![sheet.soft(heading)];
    sheet.line(heading);
    let rows = port_rows(scene);
    let way = |direction: Direction| if direction == Direction::From { "from" } else { "to" };
    sheet.rows(&rows, |sheet, row| match row {
        PortRow::Free(direction, name) => {
            vec![sheet.soft(format!("{:5}{name:32} free", way(*direction)))]
        }
        PortRow::Cable(place) => {
            let Some(cable) = scene.ports.cables.get(*place) else { return Vec::new() };
            let (state, tone) = match cable.state {
                CableState::Attached => ("attached", Tone::Ai),
                CableState::Waiting => ("not there yet, waited for", Tone::Human),
                CableState::Gone => ("gone, waited for", Tone::Danger),
                CableState::Unplugged => ("unplugged by hand", Tone::Human),
            };
            let why = cable.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let name = cable.port.as_deref().unwrap_or(&cable.name);
            vec![
                sheet.text(format!("{:5}{name:32} ", way(cable.direction))),
                Span::styled(sheet.look.plain(&format!("{state}{why}")), sheet.look.style(tone)),
            ]
        }
    });
    if rows.is_empty() {
        let none = vec![sheet.soft("  there is no other port")];
        sheet.line(none);
    }
}

fn knobs(sheet: &mut Sheet<'_>, scene: &Scene) {
    if scene.knobs.map.is_empty() {
        let how = "  no knob has a meaning yet: choose a setting in 1, press l, and move the knob";
        let how = vec![sheet.soft(how)];
        return sheet.line(how);
    }
    sheet.rows(&scene.knobs.map, |sheet, knob| {
        vec![sheet.text(format!("{:12}", knob.message)), sheet.soft("is "), sheet.text(&knob.meaning)]
    });
}

fn takes(sheet: &mut Sheet<'_>, scene: &Scene) {
    if scene.takes.is_empty() {
        let none = vec![sheet.soft(format!("  recording to {}", scene.take))];
        return sheet.line(none);
    }
    sheet.rows(&scene.takes, |sheet, take| {
        let recording = match take {
            _ if scene.playing.as_ref() == Some(&take.name) => ", plays now",
            take if take.recording => ", being recorded",
            _ => "",
        };
        vec![sheet.text(format!("{:38} ", take.name)), sheet.soft(format!("{}{recording}", about(take)))]
    });
}

fn models(sheet: &mut Sheet<'_>, scene: &Scene) {
    sheet.rows(&scene.models, |sheet, model| {
        let plays = if model.playing { "plays now" } else { "" };
        vec![sheet.text(format!("{:38} ", model.name)), sheet.soft(plays)]
    });
}

/// How much was played, how long, and when.
pub(super) fn about(take: &Take) -> String {
    let seconds = take.milliseconds / 1000;
    let when = Timestamp::from_second(take.modified).map(|at| at.to_zoned(TimeZone::system()));
    let when = when.map(|at| at.strftime(", %Y-%m-%d %H:%M").to_string()).unwrap_or_default();
    format!("{} notes, {}:{:02}{when}", take.notes, seconds / 60, seconds % 60)
}
