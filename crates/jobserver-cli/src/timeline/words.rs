//! The build in a few words: pure.

use super::event::{Nanos, Slots};
use super::model::Model;

/// Below this part of the build a step is none that a person could win by.
const WORTH: f64 = 0.01;

/// As in "3.1 of 4 slots on average; 41 s lost to one serial step: ld."
pub(crate) fn summary(model: &Model) -> String {
    let usage = &model.usage;
    let all = model.length as f64;
    let mut text = match (model.slots, model.width) {
        (Slots::Unknown, _) => format!("{:.1} jobs at once on average", usage.average),
        (_, 1) => format!("{:.1} of 1 slot on average", usage.average),
        (_, width) => format!("{:.1} of {width} slots on average", usage.average),
    };
    if let Some((serial, what)) = &model.serial {
        if serial.length() as f64 > WORTH * all {
            text += &format!("; {} lost to one serial step: {what}", time(serial.length()));
        }
    }
    text + "."
}

/// As people write a length of time, to three digits or so.
pub(crate) fn time(nanos: Nanos) -> String {
    let seconds = nanos as f64 / 1e9;
    match seconds {
        0.0 => "0 s".to_string(),
        _ if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        _ if seconds < 120.0 => format!("{seconds:.0} s"),
        _ => format!("{} min {} s", (seconds / 60.0) as u64, seconds as u64 % 60),
    }
}

/// A part of the whole, as in "12 s (30 %)".
pub(crate) fn part(nanos: Nanos, all: Nanos) -> String {
    let percent = if all == 0 { 0.0 } else { 100.0 * nanos as f64 / all as f64 };
    format!("{} ({percent:.0} %)", time(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit_in_which_it_can_be_read() {
        for (nanos, said) in [
            (0, "0 s"),
            (500_000, "500 µs"),
            (1_500_000, "1.5 ms"),
            (41_000_000, "41 ms"),
            (2_340_000_000, "2.3 s"),
            (41_000_000_000, "41 s"),
            (187_000_000_000, "3 min 7 s"),
        ] {
            assert_eq!(time(nanos), said);
        }
        assert_eq!(part(1_000_000_000, 4_000_000_000), "1.0 s (25 %)");
        assert_eq!(part(0, 0), "0 s (0 %)");
    }
}
