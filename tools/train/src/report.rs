//! The report of a run: one HTML page that needs nothing else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use antiphon::note_model::{BitsPerNote, Description};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::Header;
use crate::config::Config;
use crate::curve;
use crate::dataset::Dataset;
use crate::held_out::{Line, Table};
use crate::picture::{STYLE, escape, piano_roll};
use crate::samples::Sample;

/// Rejected files that are listed; the rest is counted.
const REJECTS_LISTED: usize = 200;

const PAGE_STYLE: &str = "\
:root{color-scheme:light dark}body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:800px;font:16px/1.5 system-ui,sans-serif;\
background:#fff;color:#1c1e22}h1{font-size:1.7rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.5rem 0 .5rem}\
h3{font-size:1rem;margin:1.5rem 0 .25rem;font-weight:600;overflow-wrap:anywhere}p{margin:.4rem 0}.quiet{color:#5b606b}\
.figures{display:flex;flex-wrap:wrap;gap:.5rem 2.25rem;margin:1.25rem 0 0}.figures div{min-width:6rem}\
.figures b{display:block;font-size:1.45rem;line-height:1.25;font-weight:600;font-variant-numeric:tabular-nums}.figures span{color:#5b606b;font-size:.85rem}\
.wide{overflow-x:auto;margin:.5rem 0 1.25rem}table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:.3rem .5rem;border-bottom:1px solid #e3e5ea;white-space:nowrap}th{font-weight:600;color:#5b606b}\
th:first-child,td:first-child{text-align:left;padding-left:0}tr.all td{font-weight:600}table.settings{width:auto}\
table.settings td:last-child{text-align:left;white-space:normal;overflow-wrap:anywhere}\
svg.plot{display:block;width:100%;height:auto;margin:.5rem 0}code,pre{font:13px/1.5 ui-monospace,monospace}\
pre{background:#f3f4f7;padding:.75rem 1rem;border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0}\
a{color:#2457c5}summary{cursor:pointer}\
@media (prefers-color-scheme:dark){body{background:#15171b;color:#eceef2}.quiet,.figures span,th{color:#a2a8b4}th,td{border-color:#2c3038}\
pre{background:#1f2228}a{color:#7aa5ff}}";

/// All that the page shows.
pub struct Report<'a> {
    /// The checked settings.
    pub config: &'a Config,
    /// The command as it was typed.
    pub command: Vec<String>,
    /// What was found in the folders.
    pub dataset: &'a Dataset,
    /// Steps, time, curve.
    pub header: &'a Header,
    /// What the model file says.
    pub description: &'a Description,
    /// Size of the model file.
    pub bytes: usize,
    /// Held-out result; `None` if the run was interrupted and only a glance was had.
    pub table: Option<&'a Table>,
    /// The start model's, and whether fine-tuning helped, in a sentence.
    pub before: Option<(&'a Table, &'a str)>,
    /// Sampled continuations.
    pub samples: &'a [Sample],
}

/// Where the report lies: beside the model, `antiphon.onnx` -> `antiphon.html`.
pub fn path(model: &Path) -> PathBuf {
    model.with_extension("html")
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let name = self.config.model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = escape(&name);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}: training report</title>\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>{PAGE_STYLE}{STYLE}</style></head>\n<body>\n"
        );
        self.summary(&name, &mut page);
        self.held_out(&mut page);
        if !self.header.history.is_empty() {
            let _ = writeln!(page, "<h2>Loss curve</h2>\n{}", curve::picture(&self.header.history));
            page.push_str(
                "<p class=\"quiet\">The curve is measured on part of the held-out pieces. Training loss counts classes, not \
                 10 ms cells, and is that of varied pieces with dropout: compare its course, not its height.</p>\n",
            );
        }
        self.continuations(&mut page);
        self.data(&mut page);
        self.settings(&mut page);
        page.push_str("</body></html>\n");
        page
    }

    fn summary(&self, name: &str, page: &mut String) {
        let sizes = self.config.sizes;
        let _ = writeln!(
            page,
            "<h1>{name}</h1>\n<p class=\"quiet\">Training report of antiphon-train {}: LSTM of {} &times; {} units, four heads of {}.</p>",
            env!("CARGO_PKG_VERSION"),
            sizes.layers,
            sizes.hidden,
            sizes.head
        );
        let notes = self.header.history.last().map_or(0, |point| point.notes);
        let figures = [
            (format!("{:.3}", self.description.held_out.bits_per_note.sum()), "bits per note, held out"),
            (thousands(self.dataset.training_notes() as u64), "notes to train on"),
            (thousands(notes), "notes trained"),
            (span(self.header.seconds), "trained"),
            (format!("{:.1} MB", f64::from(u32::try_from(self.bytes).unwrap_or(u32::MAX)) / 1e6), "model file"),
        ];
        page.push_str("<div class=\"figures\">");
        for (figure, meaning) in figures {
            let _ = write!(page, "<div><b>{figure}</b><span>{meaning}</span></div>");
        }
        page.push_str("</div>\n");
        if self.table.is_none() {
            page.push_str(
                "<p>The run was interrupted; the result is that of its last look at part of the held-out pieces.</p>\n",
            );
        }
    }

    fn held_out(&self, page: &mut String) {
        page.push_str("<h2>Held-out pieces</h2>\n");
        if let (Some((before, sentence)), Some(after)) = (self.before, self.table) {
            let _ = writeln!(page, "<p>{}.</p>", escape(&capitalised(sentence)));
            let lines = [("start model", &before.all), ("file written", &after.all)];
            bits_table(page, "", &lines.map(|(name, line)| (name, line, "")));
        }
        let Some(table) = self.table else {
            let held_out = self.description.held_out;
            let bits = held_out.bits_per_note;
            let line =
                Line { style: String::new(), pieces: held_out.pieces, notes: held_out.notes, any: bits, own: bits };
            bits_table(page, "", &[("last look", &line, "all")]);
            return;
        };
        let styles = table.styles.iter().map(|line| (line.style.as_str(), line, ""));
        let lines: Vec<_> = styles.chain([("all", &table.all, "all")]).collect();
        bits_table(page, "style", &lines);
        page.push_str(
            "<p class=\"quiet\">Bits per note, times counted in cells of 10 ms; fewer is better. Velocity counts only where a \
             piece has three or more. The last column is the sum when the model is told the style.</p>\n",
        );
    }

    fn continuations(&self, page: &mut String) {
        if self.samples.is_empty() {
            return;
        }
        page.push_str("<h2>How it continues</h2>\n<p class=\"quiet\">The beginnings of held-out pieces, continued by the model as it was written.</p>\n");
        for (number, sample) in self.samples.iter().enumerate() {
            let _ = write!(
                page,
                "<h3>{} <span class=\"quiet\">({})</span></h3>",
                escape(&sample.name),
                escape(&sample.style)
            );
            page.push_str(&piano_roll(&sample.prime, &sample.answer));
            if let Ok(midi) = sample.to_midi() {
                let _ = writeln!(
                    page,
                    "<p><a download=\"continuation-{}.mid\" href=\"data:audio/midi;base64,{}\">Download as MIDI</a> \
                     <span class=\"quiet\">{} notes given, {} continued</span></p>",
                    number + 1,
                    STANDARD.encode(midi),
                    sample.prime.len(),
                    sample.answer.len()
                );
            }
        }
    }

    fn data(&self, page: &mut String) {
        let dataset = self.dataset;
        let _ = writeln!(
            page,
            "<h2>Data</h2>\n<p>{} MIDI files: {} pieces, {} doubles left out, {} files rejected.</p>",
            thousands(dataset.files as u64),
            thousands((dataset.training.len() + dataset.held_out.len()) as u64),
            thousands(dataset.doubles as u64),
            thousands(dataset.rejects.len() as u64)
        );
        if dataset.sessions > 0 {
            let _ = writeln!(
                page,
                "<p>{} of the pieces are recorded sessions; only what the player played is learnt.</p>",
                dataset.sessions
            );
        }
        if dataset.cut_one_piece {
            page.push_str("<p>There is only one piece: its last tenth is held out, which says little.</p>\n");
        }
        page.push_str("<div class=\"wide\"><table><tr><th>style</th><th>pieces</th><th>notes</th><th>held-out pieces</th><th>notes</th></tr>");
        for style in dataset.by_style() {
            let _ = write!(page, "<tr><td>{}</td>", escape(style.name));
            for number in [style.training.0, style.training.1, style.held_out.0, style.held_out.1] {
                let _ = write!(page, "<td>{}</td>", thousands(number as u64));
            }
            page.push_str("</tr>");
        }
        page.push_str("</table></div>\n");
        if !dataset.rejects.is_empty() {
            page.push_str("<details><summary>Rejected files</summary><pre>");
            for reject in dataset.rejects.iter().take(REJECTS_LISTED) {
                let _ = writeln!(page, "{}", escape(&reject.line()));
            }
            if let Some(more) = dataset.rejects.len().checked_sub(REJECTS_LISTED).filter(|more| *more > 0) {
                let _ = writeln!(page, "and {more} more");
            }
            page.push_str("</pre></details>\n");
        }
        let _ =
            writeln!(page, "<p class=\"quiet\">SHA-256 of the data: <code>{:.16}</code></p>", escape(&dataset.sha256));
    }

    fn settings(&self, page: &mut String) {
        let command: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        let _ = writeln!(page, "<h2>Settings</h2>\n<pre>{}</pre>", escape(&command.join(" ")));
        page.push_str("<div class=\"wide\"><table class=\"settings\">");
        let settings = serde_json::to_value(self.config).unwrap_or_default();
        for (name, value) in settings.as_object().into_iter().flatten() {
            if value.is_null() {
                continue;
            }
            let text = plain(value);
            let _ = write!(page, "<tr><td>{}</td><td>{}</td></tr>", escape(&name.replace('_', " ")), escape(&text));
        }
        page.push_str("</table></div>\n");
    }
}

fn bits_table(page: &mut String, first: &str, lines: &[(&str, &Line, &str)]) {
    let _ = write!(
        page,
        "<div class=\"wide\"><table><tr><th>{first}</th><th>pieces</th><th>notes</th><th>shift</th><th>key</th><th>duration</th>\
         <th>velocity</th><th>sum</th><th>style told</th></tr>"
    );
    for (name, line, class) in lines {
        let BitsPerNote { shift, key, duration, velocity } = line.any;
        // No piece counts for it.
        let velocity = if velocity > 0.0 { format!("{velocity:.2}") } else { "&ndash;".into() };
        let _ = write!(
            page,
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{}</td><td>{shift:.2}</td><td>{key:.2}</td><td>{duration:.2}</td>\
             <td>{velocity}</td><td>{:.3}</td><td>{:.3}</td></tr>",
            escape(name),
            thousands(line.pieces as u64),
            thousands(line.notes as u64),
            line.any.sum(),
            line.own.sum()
        );
    }
    page.push_str("</table></div>\n");
}

/// A setting without brackets and quotation marks.
fn plain(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        // Numbers of single width would show digits that nobody typed.
        Value::Number(number) if number.is_f64() => {
            #[expect(clippy::cast_possible_truncation, reason = "for show, back to what was typed")]
            let typed = number.as_f64().unwrap_or_default() as f32;
            typed.to_string()
        }
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(values) if values.is_empty() => "none".into(),
        Value::Object(values) => {
            values.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds for people: `42 s`, `7 min`, `3.5 h`.
fn span(seconds: f64) -> String {
    match seconds {
        short if short < 100.0 => format!("{short:.0} s"),
        middle if middle < 6000.0 => format!("{:.0} min", middle / 60.0),
        long => format!("{:.1} h", long / 3600.0),
    }
}

/// A word of a command as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
