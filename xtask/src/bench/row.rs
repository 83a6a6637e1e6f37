//! One row: what was measured, what must be shown, and whether it was.
//!
//! Less is better in every row but where a value has to be at least something. The noise is that of the control, 0.1.35
//! against itself in the very same rounds: half the distance of its quartiles, or how far its median is from 1 if that
//! is more.

use anyhow::{Context as _, Result};
use serde_json::{json, Value};

/// What one lane did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    /// The median of its rounds.
    pub(crate) median: f64,
    /// The median of its ratios to the base of the same round, and their quartiles.
    pub(crate) ratio: f64,
    low: f64,
    high: f64,
}

/// What must be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Must {
    RatioAtMost(f64),
    /// Within three times the spread of the control.
    Noise,
    ValueAtLeast(f64),
    Nothing,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) headline: bool,
    pub(crate) must: Must,
    pub(crate) ours: Option<Lane>,
    pub(crate) base: Option<Lane>,
    pub(crate) again: Option<Lane>,
    pub(crate) floor: Option<Lane>,
    /// Why there is no number.
    pub(crate) cannot: Option<String>,
}

impl Row {
    /// From a line of the measuring program.
    pub(crate) fn parse(line: &str) -> Result<Row> {
        let value: Value = serde_json::from_str(line).with_context(|| line.to_string())?;
        let lane = |name: &str| {
            let lane = value["lanes"].get(name)?;
            let number = |field: &str| lane[field].as_f64();
            Some(Lane {
                median: number("median")?,
                ratio: number("ratio")?,
                low: number("low")?,
                high: number("high")?,
            })
        };
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_string();
        Ok(Row {
            name: text("row"),
            unit: text("unit"),
            headline: value["headline"] == true,
            must: must(&value["must"]),
            ours: lane("ours"),
            base: lane("base"),
            again: lane("again"),
            floor: lane("floor"),
            cannot: value["cannot"]["base"].as_str().map(str::to_string),
        })
    }

    /// From values that were measured in turns: ours, the base's and the control's of each round.
    pub(crate) fn of_rounds(name: &str, unit: &str, must: Must, rounds: &[[f64; 3]]) -> Row {
        let lane = |index: usize| {
            let median = quartiles(rounds.iter().map(|round| round[index]).collect())[1];
            let [low, ratio, high] = quartiles(rounds.iter().map(|round| round[index] / round[1]).collect());
            Some(Lane { median, ratio, low, high })
        };
        Row {
            name: name.to_string(),
            unit: unit.to_string(),
            headline: false,
            must,
            ours: lane(0),
            base: lane(1),
            again: lane(2),
            floor: None,
            cannot: None,
        }
    }

    /// How far 0.1.35 is from itself.
    pub(crate) fn spread(&self) -> Option<f64> {
        let again = self.again?;
        Some((again.ratio - 1.0).abs().max((again.high - again.low) / 2.0))
    }

    /// The largest ratio, or the least value, that passes.
    pub(crate) fn limit(&self) -> Option<f64> {
        match self.must {
            Must::RatioAtMost(limit) | Must::ValueAtLeast(limit) => Some(limit),
            Must::Noise => self.spread().map(|spread| 1.0 + 3.0 * spread),
            Must::Nothing => None,
        }
    }

    /// Whether it was shown; `None` if nothing was asked.
    pub(crate) fn passed(&self) -> Option<bool> {
        let (limit, ours) = (self.limit()?, self.ours?);
        Some(match self.must {
            Must::ValueAtLeast(_) => ours.median >= limit,
            _ => ours.ratio <= limit,
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let lane = |lane: Option<Lane>| {
            lane.map(|lane| json!({ "median": lane.median, "ratio": lane.ratio, "quartiles": [lane.low, lane.high] }))
        };
        json!({
            "row": self.name, "unit": self.unit, "limit": self.limit(), "limit_is_of_the_value": matches!(self.must, Must::ValueAtLeast(_)),
            "passed": self.passed(), "spread": self.spread(), "cannot": self.cannot,
            "ours": lane(self.ours), "base": lane(self.base), "control": lane(self.again), "floor": lane(self.floor),
        })
    }
}

fn must(value: &Value) -> Must {
    match (&value["ratio_at_most"], &value["value_at_least"]) {
        (Value::Number(most), _) => Must::RatioAtMost(most.as_f64().unwrap_or_default()),
        (Value::String(_), _) => Must::Noise,
        (_, Value::Number(least)) => Must::ValueAtLeast(least.as_f64().unwrap_or_default()),
        _ => Must::Nothing,
    }
}

fn quartiles(mut sample: Vec<f64>) -> [f64; 3] {
    sample.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sample[(sample.len() - 1) * quarter / 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(must: &str, ours: f64, again: [f64; 3]) -> Row {
        let [low, ratio, high] = again;
        Row::parse(&format!(
            r#"{{"row":"r","unit":"ns","headline":false,"must":{must},"lanes":{{
                "ours":{{"median":{ours},"ratio":{ours},"low":0,"high":0}},
                "again":{{"median":1,"ratio":{ratio},"low":{low},"high":{high}}}}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_ratio_must_not_be_above_its_limit() {
        let must = r#"{"ratio_at_most":0.8}"#;
        assert_eq!(row(must, 0.8, [1.0, 1.0, 1.0]).passed(), Some(true));
        assert_eq!(row(must, 0.81, [0.5, 1.0, 1.5]).passed(), Some(false));
    }

    #[test]
    fn the_noise_is_three_times_the_spread_of_the_control() {
        let must = r#"{"ratio_at_most":"noise"}"#;
        assert_eq!(row(must, 1.29, [0.9, 1.0, 1.1]).passed(), Some(true));
        assert_eq!(row(must, 1.31, [0.9, 1.0, 1.1]).passed(), Some(false));
        // A control that is off by itself.
        assert_eq!(row(must, 1.5, [1.1, 1.2, 1.2]).passed(), Some(true));
        assert_eq!(row(must, 0.1, [1.0, 1.0, 1.0]).passed(), Some(true));
    }

    #[test]
    fn a_value_must_not_be_below_its_limit() {
        let must = r#"{"value_at_least":0.9}"#;
        assert_eq!(row(must, 0.9, [1.0, 1.0, 1.0]).passed(), Some(true));
        assert_eq!(row(must, 0.8, [1.0, 1.0, 1.0]).passed(), Some(false));
    }

    #[test]
    fn what_is_only_told_neither_passes_nor_fails() {
        assert_eq!(row("null", 7.0, [1.0, 1.0, 1.0]).passed(), None);
        let cannot = Row::parse(r#"{"row":"r","cannot":{"base":"EAGAIN"}}"#).unwrap();
        assert_eq!((cannot.passed(), cannot.cannot.as_deref()), (None, Some("EAGAIN")));
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let row =
            Row::of_rounds("r", "s", Must::RatioAtMost(1.3), &[[2.0, 2.0, 2.0], [8.0, 4.0, 4.0], [3.0, 3.0, 3.0]]);
        assert_eq!((row.ours.unwrap().median, row.ours.unwrap().ratio, row.spread()), (3.0, 1.0, Some(0.0)));
    }
}
