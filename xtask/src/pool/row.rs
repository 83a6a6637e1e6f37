//! One row: a number, the bounds it has to keep, and the rounds it is the median of.

use serde_json::{json, Value};

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The least and the most that it may be.
    pub(crate) bounds: (Option<f64>, Option<f64>),
    /// What a reader needs to judge the number.
    pub(crate) note: String,
    /// All that it comes of.
    pub(crate) rounds: Value,
}

impl Row {
    /// Whether it keeps its bounds, if it has any.
    pub(crate) fn passed(&self) -> Option<bool> {
        let (least, most) = self.bounds;
        if least.is_none() && most.is_none() {
            return None;
        }
        Some(least.is_none_or(|least| self.value >= least) && most.is_none_or(|most| self.value <= most))
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name, "value": self.value, "unit": self.unit, "least": self.bounds.0, "most": self.bounds.1,
            "passed": self.passed(), "note": self.note, "rounds": self.rounds,
        })
    }

    fn target(&self) -> String {
        match self.bounds {
            (Some(least), Some(most)) => format!("{least}..{most}"),
            (Some(least), None) => format!(">= {least}"),
            (None, Some(most)) => format!("<= {most}"),
            (None, None) => String::new(),
        }
    }
}

/// The rows in columns, below a title.
pub(crate) fn table(title: &str, rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let mut text = format!("\n{title}\n");
    for row in rows {
        let verdict = match row.passed() {
            Some(true) => "pass",
            Some(false) => "MISS",
            None => "",
        };
        let value = format!("{:.3} {}", row.value, row.unit);
        let line =
            format!("  {:width$}  {:>10}  {:>10}  {verdict:4}  {}", row.name, value.trim_end(), row.target(), row.note);
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The value below which `share` of all lie, the median with 0.5. Between two values it is interpolated.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let at = share * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Each lane's value over the base's of the same round.
pub(crate) fn ratios(rounds: &[Vec<f64>], lane: usize, base: usize) -> Vec<f64> {
    rounds.iter().map(|round| round[lane] / round[base]).collect()
}

/// One lane of all rounds.
pub(crate) fn lane(rounds: &[Vec<f64>], lane: usize) -> Vec<f64> {
    rounds.iter().map(|round| round[lane]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.5, 1.0].map(|share| quantile(&values, share)), [1.0, 2.5, 4.0]);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_value_at_its_bound_passes_and_no_number_never_does() {
        let row = |value, bounds| {
            let row = Row { name: String::new(), value, unit: "", bounds, note: String::new(), rounds: Value::Null };
            row.passed()
        };
        assert_eq!(row(1.25, (Some(0.8), Some(1.25))), Some(true));
        assert_eq!(row(0.79, (Some(0.8), None)), Some(false));
        assert_eq!(row(f64::NAN, (None, Some(1.0))), Some(false));
        assert_eq!(row(1.0, (None, None)), None);
    }
}
