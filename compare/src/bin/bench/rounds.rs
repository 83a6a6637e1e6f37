//! Paired rounds: every lane does the same short piece of work in each round, in turns (A B C D, B C D A, ...), and is
//! compared with the base of that very round. What disturbs the machine for longer than a round disturbs all of them,
//! and the median forgets what was shorter.

use crate::sys;

/// One who runs in every round; it returns what it measured, one value a column.
pub(crate) struct Lane<'a> {
    pub(crate) name: &'static str,
    pub(crate) round: Box<dyn FnMut() -> Vec<f64> + 'a>,
}

impl<'a> Lane<'a> {
    pub(crate) fn new(name: &'static str, round: impl FnMut() -> Vec<f64> + 'a) -> Lane<'a> {
        Lane { name, round: Box::new(round) }
    }

    /// A lane whose work is short and never sleeps: as often a round as takes about a millisecond; the processor time
    /// of each, in nanoseconds.
    pub(crate) fn repeated(name: &'static str, mut work: impl FnMut() + 'a) -> Lane<'a> {
        const ROUND: f64 = 1e6;
        let mut times = 0;
        Lane::new(name, move || {
            if times == 0 {
                let one = timed(sys::own_cpu, 100, &mut work);
                times = (ROUND / one.max(1.0)).clamp(1.0, 1e6) as u32;
            }
            vec![timed(sys::own_cpu, times, &mut work)]
        })
    }
}

/// The nanoseconds that one of `times` calls takes by that clock.
pub(crate) fn timed(clock: fn() -> u64, times: u32, mut work: impl FnMut()) -> f64 {
    let start = clock();
    for _ in 0..times {
        work();
    }
    (clock() - start) as f64 / f64::from(times)
}

/// What has to be shown by a row; less is better in all of them but [`Must::ValueAtLeast`].
#[derive(Clone, Copy)]
pub(crate) enum Must {
    /// The ratio to the base.
    Ratio(f64),
    /// The ratio lies in the noise, or below.
    Noise,
    /// Our value itself.
    ValueAtLeast(f64),
    /// For information.
    Nothing,
}

/// One column of what the lanes return.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// The values are divided by this on the way out.
    pub(crate) scale: f64,
    pub(crate) must: Must,
    /// Whether it belongs into the README.
    pub(crate) headline: bool,
}

impl Row {
    /// Nanoseconds.
    pub(crate) fn ns(name: impl Into<String>, must: Must) -> Row {
        Row { name: name.into(), unit: "ns", scale: 1.0, must, headline: false }
    }

    /// Nanoseconds in, microseconds out.
    pub(crate) fn us(name: impl Into<String>, must: Must) -> Row {
        Row { name: name.into(), unit: "us", scale: 1e3, must, headline: false }
    }

    /// A number.
    pub(crate) fn number(name: impl Into<String>, unit: &'static str, must: Must) -> Row {
        Row { name: name.into(), unit, scale: 1.0, must, headline: false }
    }

    pub(crate) fn headline(mut self) -> Row {
        self.headline = true;
        self
    }
}

/// Runs the rounds and prints a line of JSON for each row.
pub(crate) fn run(rounds: usize, rows: &[Row], mut lanes: Vec<Lane<'_>>) {
    let mut seen: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); lanes.len()]; rows.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for turn in 0..lanes.len() {
            let index = (round + turn) % lanes.len();
            let values = (lanes[index].round)();
            assert_eq!(values.len(), rows.len(), "{}", rows[0].name);
            if round > 0 {
                for (row, value) in values.into_iter().enumerate() {
                    seen[row][index].push(value);
                }
            }
        }
    }
    let names: Vec<&str> = lanes.iter().map(|lane| lane.name).collect();
    for (row, values) in rows.iter().zip(&seen) {
        print(row, &names, values);
    }
}

/// A row that some lane can't have at all: `why` stands in its place.
pub(crate) fn cannot(name: &str, lane: &str, why: &str) {
    println!(r#"{{"row":"{name}","cannot":{{"{lane}":{why:?}}}}}"#);
}

fn print(row: &Row, names: &[&str], values: &[Vec<f64>]) {
    let base = names.iter().position(|name| *name == "base").expect("every row has a base");
    let lanes: Vec<String> = names
        .iter()
        .zip(values)
        .map(|(name, lane)| {
            let ratios: Vec<f64> = lane.iter().zip(&values[base]).map(|(value, base)| value / base).collect();
            let [low, ratio, high] = quartiles(&ratios);
            let [_, median, _] = quartiles(lane);
            let median = median / row.scale;
            format!(r#""{name}":{{"median":{median:.6},"ratio":{ratio:.6},"low":{low:.6},"high":{high:.6}}}"#)
        })
        .collect();
    let must = match row.must {
        Must::Ratio(most) => format!(r#"{{"ratio_at_most":{most}}}"#),
        Must::Noise => r#"{"ratio_at_most":"noise"}"#.to_string(),
        Must::ValueAtLeast(least) => format!(r#"{{"value_at_least":{least}}}"#),
        Must::Nothing => "null".to_string(),
    };
    println!(
        r#"{{"row":"{}","unit":"{}","rounds":{},"headline":{},"must":{must},"lanes":{{{}}}}}"#,
        row.name,
        row.unit,
        values[base].len(),
        row.headline,
        lanes.join(",")
    );
}

/// Of a sample without NaN; an infinite ratio (a base of 0) counts as the largest.
fn quartiles(sample: &[f64]) -> [f64; 3] {
    let mut sorted: Vec<f64> = sample.iter().map(|value| if value.is_finite() { *value } else { f64::MAX }).collect();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4])
}
