//! Pictures as SVG, readable on light and dark ground: a plot of lines, and a piano roll.

use std::fmt::Write as _;

use antiphon::note::Note;
use antiphon::time::SessionTime;

/// Colours of both pictures; stands in the page's style, or in that of a picture by itself.
pub const STYLE: &str = "\
.plot text{font:12px system-ui,sans-serif;fill:#5b606b}.plot .strong{fill:#1c1e22;font-weight:600}\
.plot .paper{fill:#fff}.plot .grid{stroke:#e3e5ea;fill:none}.plot .axis{stroke:#a2a8b4;fill:none}.plot .black{fill:#f3f4f7}.plot .mark{stroke:#5b606b;stroke-dasharray:4 3}\
.plot .line{fill:none;stroke-width:2;stroke-linejoin:round}\
.plot .c0{stroke:#2457c5}.plot .c1{stroke:#8a8f9a}.plot .c2{stroke:#b3541e}.plot .c3{stroke:#1f7a4d}.plot .c4{stroke:#7b3fb0}.plot .c5{stroke:#a8801a}\
.plot .dot{fill:#fff;stroke-width:2}.plot .prime{fill:#7d8494}.plot .answer{fill:#2457c5}\
@media (prefers-color-scheme:dark){.plot text{fill:#a2a8b4}.plot .strong{fill:#eceef2}.plot .paper{fill:#15171b}.plot .grid{stroke:#2c3038}.plot .axis{stroke:#5b606b}\
.plot .black{fill:#1b1e23}.plot .mark{stroke:#a2a8b4}.plot .c0{stroke:#7aa5ff}.plot .c1{stroke:#8a8f9a}.plot .c2{stroke:#ef9a63}.plot .c3{stroke:#5fc492}\
.plot .c4{stroke:#c08cf0}.plot .c5{stroke:#dcb64a}.plot .dot{fill:#15171b}.plot .prime{fill:#8d94a3}.plot .answer{fill:#7aa5ff}}";

/// Width of all pictures.
const WIDTH: f64 = 760.0;
/// Room on the left for the scale.
const LEFT: f64 = 44.0;

/// A line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// What stands at its end.
    pub name: String,
    /// Colour number, 0 to 5.
    pub colour: u8,
    /// Points, from left to right.
    pub points: Vec<(f64, f64)>,
    /// A point to mark with a ring.
    pub ring: Option<(f64, f64)>,
}

/// Lines over a common axis.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What is plotted.
    pub title: String,
    /// Height of the plot.
    pub height: f64,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// Panels one above the other. `axis` names the horizontal axis.
pub fn plot(panels: &[Panel], axis: &str) -> String {
    const ABOVE: f64 = 28.0;
    const BELOW: f64 = 30.0;
    let right = WIDTH - 150.0;
    let all = || panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points);
    let (first, last) = range(all().map(|point| point.0));
    let x = |value: f64| LEFT + (value - first) / (last - first) * (right - LEFT);
    let mut body = String::new();
    let mut top = 0.0;
    for panel in panels {
        let (low, high) = range(panel.lines.iter().flat_map(|line| &line.points).map(|point| point.1));
        let room = 0.06 * (high - low);
        let (low, high) = (low - room, high + room);
        let (upper, lower) = (top + ABOVE, top + ABOVE + panel.height);
        let y = |value: f64| lower - (value - low) / (high - low) * (lower - upper);
        let _ = write!(body, r#"<text class="strong" x="0" y="{:.1}">{}</text>"#, top + 16.0, escape(&panel.title));
        for (value, text) in ticks(low, high, 5.0) {
            let at = y(value);
            let _ = write!(
                body,
                r#"<path class="grid" d="M{LEFT} {at:.1}H{right}"/><text text-anchor="end" x="{:.1}" y="{:.1}">{text}</text>"#,
                LEFT - 6.0,
                at + 4.0
            );
        }
        let _ = write!(body, r#"<path class="axis" d="M{LEFT} {lower:.1}H{right}"/>"#);
        for (value, text) in ticks(first, last, 6.0) {
            let at = x(value);
            let _ = write!(body, r#"<text text-anchor="middle" x="{at:.1}" y="{:.1}">{text}</text>"#, lower + 16.0);
        }
        // Names at the ends of the lines, moved apart where they would overlap.
        let mut ends: Vec<(f64, &Line)> =
            panel.lines.iter().filter_map(|line| line.points.last().map(|end| (y(end.1), line))).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut above = f64::NEG_INFINITY;
        for (at, line) in ends {
            let points = line.points.iter().fold(String::new(), |mut text, point| {
                let _ = write!(text, "{:.1},{:.1} ", x(point.0), y(point.1));
                text
            });
            let _ = write!(body, r#"<polyline class="line c{}" points="{}"/>"#, line.colour, points.trim_end());
            if let Some(ring) = line.ring {
                let (cx, cy) = (x(ring.0), y(ring.1));
                let _ = write!(body, r#"<circle class="dot c{}" cx="{cx:.1}" cy="{cy:.1}" r="4"/>"#, line.colour);
            }
            let label = at.max(above + 15.0);
            above = label;
            let value = line.points.last().map_or(0.0, |end| end.1);
            let _ = write!(
                body,
                r#"<path class="line c{}" d="M{:.1} {label:.1}h12"/><text x="{:.1}" y="{:.1}">{} {value:.2}</text>"#,
                line.colour,
                right + 8.0,
                right + 25.0,
                label + 4.0,
                escape(&line.name)
            );
        }
        top = lower + BELOW;
    }
    let _ = write!(body, r#"<text text-anchor="end" x="{right}" y="{:.1}">{}</text>"#, top + 4.0, escape(axis));
    frame(top + 10.0, &body)
}

/// A piano roll: what was given and how it was continued, from the first note on.
pub fn piano_roll(prime: &[Note], answer: &[Note]) -> String {
    const ABOVE: f64 = 20.0;
    const KEY_HEIGHT: f64 = 4.0;
    let notes = || prime.iter().chain(answer);
    let begin = notes().map(|note| note.onset).min().unwrap_or_default();
    let seconds = |time: SessionTime| time.since(begin).as_seconds();
    let end = notes().map(|note| seconds(note.end())).fold(1.0, f64::max);
    let lowest = notes().map(|note| note.key).min().unwrap_or(60).saturating_sub(2);
    let highest = notes().map(|note| note.key).max().unwrap_or(60).saturating_add(2).max(lowest + 24);
    let height = KEY_HEIGHT * f64::from(highest - lowest + 1);
    let x = |seconds: f64| LEFT + seconds / end * (WIDTH - LEFT);
    let y = |key: u8| ABOVE + KEY_HEIGHT * f64::from(highest - key);
    let mut body = String::new();
    for key in lowest..=highest {
        if [1, 3, 6, 8, 10].contains(&(key % 12)) {
            let _ = write!(
                body,
                r#"<rect class="black" x="{LEFT}" y="{:.1}" width="{}" height="{KEY_HEIGHT}"/>"#,
                y(key),
                WIDTH - LEFT
            );
        } else if key.is_multiple_of(12) {
            let at = y(key) + KEY_HEIGHT;
            let _ = write!(
                body,
                r#"<path class="grid" d="M{LEFT} {at:.1}H{WIDTH}"/><text text-anchor="end" x="{:.1}" y="{:.1}">C{}</text>"#,
                LEFT - 6.0,
                at + 3.0,
                i32::from(key / 12) - 1
            );
        }
    }
    for (value, text) in ticks(0.0, end, 8.0) {
        let at = x(value);
        let anchor = if at > WIDTH - 20.0 { "end" } else { "middle" };
        let _ = write!(
            body,
            r#"<path class="grid" d="M{at:.1} {ABOVE}v{height:.1}"/><text text-anchor="{anchor}" x="{at:.1}" y="{:.1}">{text} s</text>"#,
            ABOVE + height + 15.0
        );
    }
    for (class, notes) in [("prime", prime), ("answer", answer)] {
        for note in notes {
            let (from, to) = (x(seconds(note.onset)), x(seconds(note.end())));
            let _ = write!(
                body,
                r#"<rect class="{class}" x="{from:.1}" y="{:.1}" width="{:.1}" height="{KEY_HEIGHT}" rx="1" opacity="{:.2}"/>"#,
                y(note.key),
                (to - from).max(1.5),
                0.35 + 0.65 * f64::from(note.velocity) / 127.0
            );
        }
    }
    if let Some(handover) = answer.first() {
        let at = x(seconds(handover.onset));
        let _ = write!(
            body,
            r#"<path class="mark" d="M{at:.1} {ABOVE}v{height:.1}"/><text class="strong" text-anchor="end" x="{:.1}" y="13">given</text><text class="strong" x="{:.1}" y="13">continued</text>"#,
            at - 6.0,
            at + 6.0
        );
    }
    frame(ABOVE + height + 22.0, &body)
}

/// A picture by itself, for a file of its own.
pub fn alone(picture: &str) -> String {
    let styled = format!("<svg xmlns=\"http://www.w3.org/2000/svg\"><style>{STYLE}</style>");
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", merge(picture, &styled))
}

/// Text that may stand in HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Control characters may not stand in XML at all.
            control if control.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

fn frame(height: f64, body: &str) -> String {
    format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {height:.0}" width="{WIDTH}" height="{height:.0}" role="img"><rect class="paper" width="{WIDTH}" height="{height:.0}"/>{body}</svg>"#
    )
}

/// `picture` with the name space and the style of `head` in its outermost element.
fn merge(picture: &str, head: &str) -> String {
    let (_, style) = head.split_once('>').unwrap_or(("", head));
    let rest = picture.strip_prefix("<svg").unwrap_or(picture);
    let (attributes, body) = rest.split_once('>').unwrap_or((rest, ""));
    format!("<svg xmlns=\"http://www.w3.org/2000/svg\"{attributes}>{style}{body}")
}

/// Lowest and highest value, never equal.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
    match low.partial_cmp(&high) {
        Some(std::cmp::Ordering::Less) => (low, high),
        Some(std::cmp::Ordering::Equal) => (low - 0.5, high + 0.5),
        _ => (0.0, 1.0),
    }
}

/// About `count` round values in the range, with their texts.
fn ticks(low: f64, high: f64, count: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / count;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let digits = if step >= 1.0 {
        0
    } else if step >= 0.1 {
        1
    } else {
        2
    };
    let first = (low / step).ceil();
    let values = (0..20u32).map(|index| (first + f64::from(index)) * step).take_while(|value| *value <= high + 1e-9);
    values.map(|value| (value, format!("{value:.digits$}"))).collect()
}
