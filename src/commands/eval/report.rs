//! The result as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::baselines::Baseline;
use super::continuations::Comparison;
use crate::evaluation::Tally;
use crate::note_model::BitsPerNote;

/// What some pieces cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// The model as it plays, with its memory of the piece and what falls together.
    pub model: Tally,
    /// The network alone.
    pub alone: Tally,
    /// Where there was something to learn from.
    pub baselines: Option<Baseline>,
}

impl Cost {
    /// The sum of costs; it has baselines only where all have them.
    pub fn sum<'a>(costs: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let model = costs.clone().map(|cost| cost.model).sum();
        let alone = costs.clone().map(|cost| cost.alone).sum();
        let baselines: Option<Vec<Baseline>> = costs.map(|cost| cost.baselines).collect();
        let add = |all: Vec<Baseline>| Baseline {
            markov: all.iter().map(|one| one.markov).sum(),
            n_gram: all.iter().map(|one| one.n_gram).sum(),
            unigram: all.iter().map(|one| one.unigram).sum(),
        };
        Self { model, alone, baselines: baselines.filter(|all| !all.is_empty()).map(add) }
    }
}

/// Bits to four digits: more would be noise.
fn rounded(bits: f64) -> f64 {
    (bits * 1e4).round() / 1e4
}

fn parts(bits: BitsPerNote) -> Map<String, Value> {
    let named = [("shift", bits.shift), ("key", bits.key), ("duration", bits.duration), ("velocity", bits.velocity)];
    named.into_iter().map(|(name, bits)| (name.to_owned(), json!(rounded(bits)))).collect()
}

/// One JSON object; figures that do not exist are null.
pub(super) fn json(cost: &Cost) -> Map<String, Value> {
    let sum = |tally: Tally| json!(rounded(tally.per_note().sum()));
    let dynamic = |tally: &Tally| {
        let figure = rounded(tally.sum_of_dynamic());
        if tally.dynamic_notes == 0 { Value::Null } else { json!(figure) }
    };
    let markov = cost.baselines.map(|all| all.markov);
    let mut object = Map::new();
    object.insert("bits_per_note".into(), sum(cost.model));
    object.extend(parts(cost.model.per_note()));
    object.insert("bits_per_note_velocity_of_dynamic".into(), dynamic(&cost.model));
    object.insert("bits_per_note_alone".into(), sum(cost.alone));
    object.insert("alone".into(), Value::Object(parts(cost.alone.per_note())));
    object.insert("markov_bits_per_note".into(), markov.map(sum).into());
    object.insert("markov".into(), markov.map(|tally| Value::Object(parts(tally.per_note()))).into());
    object.insert("markov_bits_per_note_velocity_of_dynamic".into(), markov.as_ref().map(dynamic).into());
    let n_gram = cost.baselines.map(|all| all.n_gram);
    object.insert("n_gram_bits_per_note".into(), n_gram.map(sum).into());
    object.insert("n_gram".into(), n_gram.map(|tally| Value::Object(parts(tally.per_note()))).into());
    object.insert("unigram_bits_per_note".into(), cost.baselines.map(|all| sum(all.unigram)).into());
    object.insert("notes".into(), cost.model.notes.into());
    object.insert("notes_of_dynamic".into(), cost.model.dynamic_notes.into());
    object
}

/// The table: for each style the model and its rivals.
pub(super) fn table(styles: &[(String, Cost)], total: &Cost) -> String {
    let widest = styles.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(5);
    let mut text = format!(
        "{:widest$}  pieces    notes  {:8} {:>6} = {:>5} + {:>5} + {:>8} + {:>8}  | dynamic: {:>8} {:>6}\n",
        "style", "", "bits", "shift", "key", "duration", "velocity", "velocity", "bits"
    );
    let styles = styles.iter().map(|(name, cost)| (name.as_str(), cost));
    for (name, cost) in styles.chain(std::iter::once(("total", total))) {
        let mut left = format!("{name:widest$}  {:6} {:8}", cost.model.pieces, cost.model.notes);
        let named = |all: Baseline| [(all.markov, "Markov"), (all.n_gram, "n-gram"), (all.unigram, "unigram")];
        let rivals = cost.baselines.into_iter().flat_map(named);
        let own = [(cost.model, "model"), (cost.alone, "alone")];
        for (tally, by) in own.into_iter().chain(rivals) {
            let bits = tally.per_note();
            let dynamic = if tally.dynamic_notes == 0 {
                format!("{:>8} {:>6}", "-", "-")
            } else {
                format!("{:8.3} {:6.2}", tally.velocity_of_dynamic(), tally.sum_of_dynamic())
            };
            let _ = writeln!(
                text,
                "{left}  {by:8} {:6.2} = {:5.3} + {:5.3} + {:8.3} + {:8.3}  |          {dynamic}",
                bits.sum(),
                bits.shift,
                bits.key,
                bits.duration,
                bits.velocity,
            );
            left = " ".repeat(widest + 17);
        }
    }
    text.push_str("bits: per note, times on the 10 ms grid; every note counts in every part.\n");
    text.push_str("model: as it plays, with its memory of the piece and what falls together; alone: the network.\n");
    text.push_str("n-gram: the Markov model without what it learns from the piece itself as it goes.\n");
    text.push_str("dynamic: velocity over the pieces with three or more velocities alone, and the sum with it.\n");
    text
}

/// The comparison of continuations as a table.
pub(super) fn comparison_table(comparison: &Comparison) -> String {
    let mut text =
        format!("{} continuations of 128 notes after 64: {:>21} {:>9}\n", comparison.passages, "generated", "human");
    for ((_, what, generated), (_, _, human)) in comparison.generated.figures().iter().zip(comparison.human.figures()) {
        let _ = writeln!(text, "{what:52} {generated:9.3} {human:9.3}");
    }
    text
}

/// The comparison of continuations as JSON.
pub(super) fn comparison_json(comparison: &Comparison) -> Value {
    let side = |figures: [(&str, &str, f64); 5]| -> Map<String, Value> {
        figures.into_iter().map(|(name, _, value)| (name.to_owned(), json!(rounded(value)))).collect()
    };
    json!({
        "passages": comparison.passages,
        "generated": side(comparison.generated.figures()),
        "human": side(comparison.human.figures()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note_model::NoteClasses;

    fn cost(bits: f64, has_baselines: bool) -> Cost {
        let tally = Tally::of_piece(&[NoteClasses([0, 60, 0, 16]); 10], [bits; 4], false);
        Cost {
            model: tally,
            alone: tally,
            baselines: has_baselines.then_some(Baseline { markov: tally, n_gram: tally, unigram: tally }),
        }
    }

    #[test]
    fn the_total_weighs_by_notes_and_has_baselines_where_all_have_them() {
        let sum = Cost::sum([cost(10.0, true), cost(30.0, true)].iter());
        assert!((sum.model.per_note().key - 2.0).abs() < 1e-12);
        assert!(sum.baselines.is_some());
        assert!(Cost::sum([cost(10.0, true), cost(30.0, false)].iter()).baselines.is_none());
    }

    #[test]
    fn figures_that_do_not_exist_are_null() {
        let object = json(&cost(10.0, false));
        assert_eq!(object["bits_per_note"], json!(4.0));
        assert!(object["markov_bits_per_note"].is_null() && object["unigram_bits_per_note"].is_null());
        assert_eq!(json(&cost(10.0, true))["markov"]["key"], json!(1.0));
    }
}
