//! The tables: all rows for a terminal, the important ones for the README.

use anyhow::{Context as _, Result};

use super::row::{Lane, Must, Row};

const BEGIN: &str = "<!-- bench -->";
const END: &str = "<!-- /bench -->";

/// How many of the rows that ask for something have got it, and how many ask.
pub(crate) fn count(rows: &[Row]) -> (usize, usize) {
    let asked: Vec<bool> = rows.iter().filter_map(Row::passed).collect();
    (asked.iter().filter(|passed| **passed).count(), asked.len())
}

/// All rows.
pub(crate) fn terminal(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let heads = ["ours", "upstream", "ratio", "control", "spread", "floor", "limit"];
    let heads: Vec<String> = heads.iter().map(|head| format!("{head:>9}")).collect();
    let mut text = format!("\n{:width$} {}\n", "", heads.join(" "));
    for row in rows {
        let value = |lane: Option<Lane>| lane.map(|lane| amount(lane.median, &row.unit)).unwrap_or_default();
        let ratio = |lane: Option<Lane>| lane.map(|lane| format!("{:.3}", lane.ratio)).unwrap_or_default();
        let spread = row.spread().map(|spread| format!("{spread:.3}")).unwrap_or_default();
        let cells = [value(row.ours), value(row.base), ratio(row.ours), ratio(row.again), spread, value(row.floor)];
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>9}")).collect();
        let verdict = match row.passed() {
            Some(true) => "pass",
            Some(false) => "FAIL",
            None => "",
        };
        let remark = row.cannot.as_ref().map(|why| format!(" upstream can't: {why}")).unwrap_or_default();
        let line = format!("{:width$} {} {:>9} {verdict}{remark}", row.name, cells.join(" "), limit(row));
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The rows with a headline, in Markdown.
pub(crate) fn readme(rows: &[Row], processors: usize) -> String {
    let mut text = format!(
        "Measured on {processors} processors by `cargo xtask bench --readme`. `ratio` is the median of paired rounds, \
         `±` the noise: how\nfar 0.1.35 is from a second copy of itself. [How, and what else](docs/benchmarks.md).\n\n\
         | | this crate | 0.1.35 | ratio | ± |\n|---|--:|--:|--:|--:|\n"
    );
    for row in rows.iter().filter(|row| row.headline) {
        let value = |lane: Option<Lane>| lane.map(|lane| amount(lane.median, &row.unit)).unwrap_or_default();
        let ratio = row.ours.map(|lane| ratio(lane.ratio)).unwrap_or_default();
        let spread = row.spread().map(ratio_spread).unwrap_or_default();
        text += &format!("| {} | {} | {} | {ratio} | {spread} |\n", row.name, value(row.ours), value(row.base));
    }
    text
}

/// The text with another table between the markers.
pub(crate) fn replace(text: &str, table: &str) -> Result<String> {
    let missing = || format!("README.md has no {BEGIN} ... {END}");
    let (before, rest) = text.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

fn limit(row: &Row) -> String {
    match (row.must, row.limit()) {
        (Must::ValueAtLeast(least), _) => format!(">= {least}"),
        (_, Some(most)) => format!("<= {most:.3}"),
        (_, None) => String::new(),
    }
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.1 {
        format!("{ratio:.3}")
    } else {
        format!("{ratio:.2}")
    }
}

fn ratio_spread(spread: f64) -> String {
    format!("{spread:.2}")
}

/// Three digits and a unit that fits.
fn amount(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "us" if value >= 10_000.0 => (value / 1e3, "ms"),
        "ns" if value >= 10_000.0 => (value / 1e3, "us"),
        _ => (value, unit),
    };
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}").trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n";
        assert_eq!(replace(text, "new\n").unwrap(), "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n");
        assert!(replace("nothing", "new").is_err());
    }

    #[test]
    fn amounts_have_three_digits() {
        let all = [(2.3456, "ns"), (23.456, "us"), (234.56, "us"), (23456.0, "us"), (1.0, "")];
        assert_eq!(all.map(|(value, unit)| amount(value, unit)), ["2.35 ns", "23.5 us", "235 us", "23.5 ms", "1.00"]);
    }
}
