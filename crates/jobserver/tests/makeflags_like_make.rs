//! Real make against `MakeFlags`: what make 4.3 and 4.4.1 join, seen from outside, is what we join; and what we write
//! they join, with everything else unchanged. Where we differ on purpose, the difference is asserted to be real.
#![cfg(unix)]

#[path = "makeflags/bench.rs"]
mod bench;
#[path = "makeflags/chance.rs"]
mod chance;
#[path = "makeflags/values.rs"]
mod values;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;

use bench::{Bench, Did, Run};
use jobserver::MakeFlags;
use values::{ALIKE, ALIKE_BY_PATH, DIFFERENCES};

const MADE: usize = 200;

#[test]
fn make_4_3_joins_what_we_join() {
    let make = testkit::clients::make_4_3();
    let mut cases: Vec<_> = ALIKE.iter().map(|value| (value.to_string(), false)).collect();
    cases.extend(chance::made(MADE, false).into_iter().map(|made| (made.value, false)));
    on_benches(&cases, |bench, (value, _)| compare(bench, &make, value, false, false));
}

#[test]
fn make_4_4_joins_what_we_join() {
    let make = testkit::clients::make_4_4();
    let mut cases: Vec<_> = ALIKE.iter().chain(ALIKE_BY_PATH).map(|value| (value.to_string(), false)).collect();
    cases.extend(chance::made(MADE, true).into_iter().map(|made| (made.value, made.refused_by_4_4)));
    on_benches(&cases, |bench, (value, refused)| compare(bench, &make, value, true, *refused));
}

#[test]
fn every_difference_from_make_is_real() {
    let (make_4_3, make_4_4) = (testkit::clients::make_4_3(), testkit::clients::make_4_4());
    let cases: Vec<_> =
        DIFFERENCES.iter().flat_map(|rule| rule.values.iter().map(move |value| (value, rule))).collect();
    on_benches(&cases, |bench, (value, rule)| {
        let value = bench.place(value);
        expect(bench.run(&make_4_3, &value), &rule.make_4_3, &value, rule.why)?;
        expect(bench.run(&make_4_4, &value), &rule.make_4_4, &value, rule.why)?;
        same(rule.why, &bench.ours(&value, true), &rule.ours, &value)
    });
}

#[test]
fn the_values_are_many_and_the_outcomes_are_mixed() {
    // A generator that only makes what is refused, or never joins, would prove nothing.
    let bench = Bench::new();
    for with_paths in [false, true] {
        let made = chance::made(MADE, with_paths);
        let joined = made
            .iter()
            .filter(|made| matches!(bench.ours(&bench.place(&made.value), true), Did::Joined { .. }))
            .count();
        let refused = made.iter().filter(|made| made.refused_by_4_4).count();
        let mut distinct: Vec<_> = made.iter().map(|made| &made.value).collect();
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > MADE * 9 / 10, "{}", distinct.len());
        assert!((MADE / 4..MADE * 9 / 10).contains(&joined), "{joined}");
        assert!((1..MADE / 3).contains(&refused), "{refused}");
    }
}

/// What make joins is what we join; what we write is joined, or left, and means the same otherwise.
fn compare(bench: &mut Bench, make: &Path, value: &str, knows_fifo: bool, refused: bool) -> Result<(), String> {
    let value = bench.place(value);
    let flags = MakeFlags::parse(&value);
    let plain = bench.run(make, &value);
    let expected = if refused { Did::Refused } else { bench.ours(&value, knows_fifo) };
    let did = plain.did.clone();
    let plain = expect(plain, &expected, &value, "as we read it")?;
    if did == Did::Refused {
        return Ok(());
    }
    if let Did::Joined { .. } = did {
        same("-j", flags.jobs(), plain.handed.jobs(), &value)?;
    }
    same("a dry run", flags.dry_run(), plain.handed.dry_run(), &value)?;

    let joined = flags.with_jobserver(&bench.auth('b', knows_fifo), Some(7)).map_err(|error| error.to_string())?;
    let run = expect(bench.run(make, &joined), &Did::Joined { read: 'b', write: 'b' }, &joined, "as we wrote it")?;
    unchanged(&plain, &run, &value)?;

    let left = flags.without_jobserver();
    let run = expect(bench.run(make, &left), &Did::Alone, &left, "as we took it out")?;
    unchanged(&plain, &run, &value)
}

/// Everything but jobs reaches recipes and makefiles as before.
fn unchanged(before: &Run, after: &Run, value: &OsStr) -> Result<(), String> {
    same("V", &before.variable, &after.variable, value)?;
    same("what recipes get", others(before), others(after), value)
}

fn others(run: &Run) -> Vec<String> {
    let value = run.handed.without_jobserver().into_string().unwrap();
    // The lock of -O is named after a file of this very run, and the order of --shuffle after a number drawn in it.
    let of_this_run = |word: &str| word.starts_with("--sync-mutex=") || word.starts_with("--shuffle=");
    value.split(' ').filter(|word| !of_this_run(word)).map(String::from).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, ours: T, makes: T, value: &OsStr) -> Result<(), String> {
    if ours == makes {
        return Ok(());
    }
    Err(format!("{value:?}: {what}: {ours:?} against {makes:?}"))
}

fn expect(run: Run, did: &Did, value: &OsStr, why: &str) -> Result<Run, String> {
    if run.did == *did {
        return Ok(run);
    }
    Err(format!("{value:?}: make did {:?}, expected {did:?} ({why}); it said: {}", run.did, run.said))
}

/// Checks each case on one of four benches and reports every failure.
fn on_benches<T: Sync>(cases: &[T], check: impl Fn(&mut Bench, &T) -> Result<(), String> + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut bench = Bench::new();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = check(&mut bench, case) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
