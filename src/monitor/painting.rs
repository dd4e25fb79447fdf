//! The piano roll in cells of a terminal, each of up to four quarters.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::look::{Look, Signs, Tone};
use super::roll::{Roll, Voice};

/// Cells that a second takes.
const CELLS_A_SECOND: u16 = 8;

/// Seconds of the plan that are shown at most: it seldom reaches further.
const AHEAD: f64 = 2.5;

/// Cells for the names of keys.
const GUTTER: u16 = 3;

/// Keys around which an empty roll is drawn.
const MIDDLE: i32 = 64;

/// Blocks by their quarters: upper left 1, upper right 2, lower left 4, lower right 8.
const QUARTERS: [&str; 16] = [" ", "▘", "▝", "▀", "▖", "▌", "▞", "▛", "▗", "▚", "▐", "▜", "▄", "▙", "▟", "█"];

/// What a quarter is filled with; the greater one is in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ink {
    Plan,
    Human,
    Ai,
    Take,
}

impl Ink {
    fn of(voice: Voice) -> Self {
        match voice {
            Voice::Human => Self::Human,
            Voice::Ai => Self::Ai,
            Voice::Take => Self::Take,
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Plan => Tone::Plan,
            Self::Human => Tone::Human,
            Self::Ai => Tone::Ai,
            Self::Take => Tone::Take,
        }
    }

    /// Where only a pattern tells the voices apart.
    fn pattern(self, look: Look) -> &'static str {
        match (self, look.signs == Signs::Plain) {
            (Self::Human, false) => "█",
            (Self::Ai, false) => "▒",
            (Self::Take, false) => "▓",
            (Self::Plan, false) => "░",
            (Self::Human, true) => "#",
            (Self::Ai, true) => "=",
            (Self::Take, true) => "+",
            (Self::Plan, true) => "-",
        }
    }
}

/// Which keys the roll shows. It moves only when it must, so that the picture stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    lowest: i32,
    keys_a_row: i32,
    rows: i32,
}

impl Window {
    /// Moves so that all keys from `range` are in sight on so many rows of sub-cells.
    fn follow(&mut self, range: Option<(u8, u8)>, rows: i32) {
        let (low, high) = range.map_or((MIDDLE, MIDDLE), |(low, high)| (i32::from(low), i32::from(high)));
        let needed = (high - low + 1 + rows - 1) / rows.max(1);
        let fits = self.rows == rows && low >= self.lowest && high < self.lowest + rows * self.keys_a_row;
        // It comes closer again only when everything would be twice as big.
        if fits && self.keys_a_row < 2 * needed {
            return;
        }
        let keys_a_row = needed.max(1);
        let shown = rows * keys_a_row;
        let centred = (low + high + 1 - shown) / 2;
        let lowest = if shown >= 128 { 0 } else { centred.clamp(0, 128 - shown) };
        *self = Self { lowest, keys_a_row, rows };
    }

    /// The row of sub-cells of a key, from the top.
    fn row(self, key: i32) -> i32 {
        self.rows - 1 - (key - self.lowest).div_euclid(self.keys_a_row)
    }
}

/// Sub-cells of a part of the screen.
struct Grid {
    inks: Vec<Option<Ink>>,
    wide: i32,
    high: i32,
}

impl Grid {
    fn at(&self, x: i32, y: i32) -> Option<Ink> {
        let index = usize::try_from(y * self.wide + x).ok().filter(|_| self.has(x, y))?;
        self.inks.get(index).copied().flatten()
    }

    fn put(&mut self, x: i32, y: i32, ink: Option<Ink>) {
        if self.has(x, y)
            && let Ok(index) = usize::try_from(y * self.wide + x)
        {
            self.inks[index] = ink;
        }
    }

    fn has(&self, x: i32, y: i32) -> bool {
        (0..self.wide).contains(&x) && (0..self.high).contains(&y)
    }

    /// A note from `begin` to `end`, both excluding what is beside the grid. A key that was struck again shows a gap.
    fn note(&mut self, ink: Ink, y: i32, begin: i32, end: i32) {
        if self.at(begin - 1, y) == Some(ink) && self.at(begin - 2, y) == Some(ink) {
            self.put(begin - 1, y, None);
        }
        for x in begin.max(0)..end.max(begin + 1).min(self.wide) {
            self.put(x, y, Some(ink));
        }
    }
}

/// Draws the roll.
pub(super) fn paint(roll: &Roll, window: &mut Window, now: f64, look: Look, area: Rect, buffer: &mut Buffer) {
    if area.width <= GUTTER || area.height == 0 {
        return;
    }
    let (across, down) = look.resolution();
    let stage = Rect { x: area.x + GUTTER, width: area.width - GUTTER, ..area };
    let a_second = f64::from(CELLS_A_SECOND * across);
    let ahead = (AHEAD * f64::from(CELLS_A_SECOND)).min(f64::from(stage.width) / 3.0);
    let now_cell = i32::from(stage.width) - 1 - whole(ahead);
    let wide = i32::from(stage.width * across);
    window.follow(roll.range(), i32::from(area.height * down));
    let mut grid = Grid {
        inks: vec![None; usize::from(stage.width * across) * usize::from(area.height * down)],
        wide,
        high: i32::from(area.height * down),
    };
    // All times are cut to the same raster, so that notes do not tremble as they move.
    let at_now = whole(now * a_second);
    let now_x = now_cell * i32::from(across);
    let x = |time: f64| whole(time * a_second) - at_now + now_x;
    for plan in roll.planned() {
        let row = window.row(plan.key.into());
        grid.note(Ink::Plan, row, x(plan.onset), x(plan.onset + plan.duration));
    }
    for note in roll.played() {
        grid.note(Ink::of(note.voice), window.row(note.key.into()), x(note.onset), x(note.end.unwrap_or(now)));
    }
    // What sounds stands on the line itself.
    for note in roll.played().iter().filter(|note| note.end.is_none() && note.onset <= now) {
        for x in now_x..now_x + i32::from(across) {
            grid.put(x, window.row(note.key.into()), Some(Ink::of(note.voice)));
        }
    }
    keyboard(*window, look, area, buffer);
    for row in 0..area.height {
        for column in 0..stage.width {
            let on_line = i32::from(column) == now_cell;
            let (sign, style) = cell(&grid, column, row, look).unwrap_or_else(|| {
                if on_line { (look.sign("│", "|"), look.style(Tone::Text)) } else { ground(*window, row, look) }
            });
            let style = if on_line { style.add_modifier(Modifier::BOLD) } else { style };
            buffer[(stage.x + column, area.y + row)].set_symbol(sign).set_style(style);
        }
    }
}

/// The names of the Cs at the left.
fn keyboard(window: Window, look: Look, area: Rect, buffer: &mut Buffer) {
    for row in 0..area.height {
        let names = keys(window, row, look).filter(|key| key % 12 == 0).map(|key| format!("C{}", key / 12 - 1));
        if let Some(name) = names.last() {
            buffer.set_stringn(area.x, area.y + row, name, usize::from(GUTTER), look.style(Tone::Soft));
        }
    }
}

/// The keys of a row of cells.
fn keys(window: Window, row: u16, look: Look) -> impl Iterator<Item = i32> {
    let (_, down) = look.resolution();
    let rows = i32::from(row * down)..i32::from((row + 1) * down);
    let all = rows.flat_map(move |row| {
        let lowest = window.lowest + (window.rows - 1 - row) * window.keys_a_row;
        lowest..lowest + window.keys_a_row
    });
    all.filter(|key| (0..128).contains(key))
}

/// What an empty cell shows: a faint line under each C.
fn ground(window: Window, row: u16, look: Look) -> (&'static str, Style) {
    let has_c = keys(window, row, look).any(|key| key % 12 == 0);
    if has_c { (look.sign("┈", "."), look.style(Tone::Faint)) } else { (" ", Style::new()) }
}

/// The sign and colours of a cell with something in it.
fn cell(grid: &Grid, column: u16, row: u16, look: Look) -> Option<(&'static str, Style)> {
    let (across, down) = look.resolution();
    let (x, y) = (i32::from(column * across), i32::from(row * down));
    if (across, down) == (1, 1) {
        let ink = grid.at(x, y)?;
        return Some((ink.pattern(look), look.style(ink.tone())));
    }
    // A sub-cell that is as wide as the cell fills both of its quarters.
    let quarter = |right: i32, lower: i32| grid.at(x + right * i32::from(across - 1), y + lower);
    let quarters = [quarter(0, 0), quarter(1, 0), quarter(0, 1), quarter(1, 1)];
    let front = quarters.iter().flatten().max().copied()?;
    let behind = quarters.iter().flatten().filter(|ink| **ink != front).max().copied();
    let is_full = quarters.iter().all(Option::is_some);
    let filled = |wanted: &dyn Fn(Ink) -> bool| {
        let bits = quarters.iter().zip([1usize, 2, 4, 8]).filter(|(ink, _)| ink.is_some_and(wanted));
        bits.map(|(_, bit)| bit).sum::<usize>()
    };
    let ground: Color = match behind {
        // A cell has two colours; with a third one, the ground, what is behind takes the colour of what is in front.
        Some(behind) if is_full => look.colour(behind.tone()),
        _ => Color::Reset,
    };
    let mask = if is_full { filled(&|ink| ink == front) } else { filled(&|_| true) };
    Some((QUARTERS[mask], Style::new().fg(look.colour(front.tone())).bg(ground)))
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and what is far beside the grid is not drawn")]
fn whole(number: f64) -> i32 {
    (number.floor() as i32).clamp(i32::MIN / 4, i32::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::super::roll::Planned;
    use super::super::wire::{Off, On};
    use super::*;

    fn painted(roll: &Roll, now: f64, look: Look, (width, height): (u16, u16)) -> Buffer {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        paint(roll, &mut Window::default(), now, look, area, &mut buffer);
        buffer
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let line = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..buffer.area.height).map(|y| line(y).trim_end().to_owned()).collect()
    }

    fn some_notes() -> Roll {
        let mut roll = Roll::default();
        roll.on(Voice::Human, On { at: 8.0, channel: 1, key: 60 });
        roll.off(Voice::Human, Off { at: 8.5, channel: 1, key: 60 });
        roll.on(Voice::Human, On { at: 8.5, channel: 1, key: 60 });
        roll.off(Voice::Human, Off { at: 9.0, channel: 1, key: 60 });
        roll.on(Voice::Ai, On { at: 9.5, channel: 1, key: 64 });
        roll.plan(Planned { channel: 1, key: 66, onset: 10.5, duration: 0.25 });
        roll.on(Voice::Take, On { at: 11.0, channel: 1, key: 62 });
        roll.off(Voice::Take, Off { at: 11.5, channel: 1, key: 62 });
        roll
    }

    #[test]
    fn without_colours_patterns_tell_who_plays_what_sounds_and_what_is_planned() {
        let look = Look::of(|name| (name == "LANG").then(|| "C".to_owned()));
        let drawn = lines(&painted(&some_notes(), 10.0, look, (40, 8)));
        assert_eq!(
            drawn,
            [
                "                           |   --",
                "                           |",
                "                       =====",
                "                           |",
                "                           |       ++++",
                "                           |",
                "C4 ........###.####........|............",
                "                           |",
            ]
        );
    }

    #[test]
    fn with_colours_a_cell_shows_two_keys_and_two_moments() {
        let buffer = painted(&some_notes(), 10.0, Look::best(), (40, 4));
        let drawn = lines(&buffer);
        assert!(drawn.iter().any(|line| line.contains('▀') || line.contains('▄')), "{drawn:#?}");
        let colours: Vec<Color> = buffer.content().iter().map(|cell| cell.fg).collect();
        for tone in [Tone::Human, Tone::Ai, Tone::Take, Tone::Plan] {
            assert!(colours.contains(&Look::best().colour(tone)), "{tone:?}");
        }
    }

    #[test]
    fn the_picture_stands_still_until_a_key_is_out_of_sight() {
        let mut window = Window::default();
        window.follow(Some((60, 67)), 16);
        let before = window;
        window.follow(Some((58, 70)), 16);
        assert_eq!(window, before);
        window.follow(Some((36, 70)), 16);
        assert!(window.lowest <= 36 && window.keys_a_row == 3, "{window:?}");
        window.follow(Some((0, 127)), 16);
        assert_eq!((window.lowest, window.keys_a_row), (0, 8));
        assert_eq!((window.row(0), window.row(127)), (15, 0));
    }

    #[test]
    fn any_size_and_any_note_is_drawn_without_a_panic() {
        let mut roll = some_notes();
        for (key, onset) in [(0, -1e18), (127, 1e18), (5, f64::NAN), (64, f64::INFINITY)] {
            roll.on(Voice::Human, On { at: onset, channel: 16, key });
            roll.plan(Planned { channel: 1, key, onset, duration: 1e300 });
        }
        let looks = [Look::best(), Look::of(|_| None), Look::of(|name| (name == "TERM").then(|| "linux".to_owned()))];
        for look in looks {
            for width in [0, 1, 3, 4, 5, 9, 80, 300] {
                for height in [0, 1, 2, 24, 100] {
                    painted(&roll, 10.0, look, (width, height));
                }
            }
        }
    }
}
