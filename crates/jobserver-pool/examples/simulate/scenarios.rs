//! Two or three builds on six slots, and one build beside idle clients: who finished how much, with the target.

use jobserver_pool::ledger::Terms;
use jobserver_pool::scheduler::Nanos;

use crate::clients::{Client, Nature};
use crate::world::{World, MS, S};

const SLOTS: u32 = 6;
const SEEDS: u64 = 15;
const LATER: Nanos = 500 * MS;

fn median(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn terms(name: &str, weight: u32) -> Terms {
    let mut terms = Terms::new(name);
    terms.weight = weight;
    terms
}

/// How many jobs each build finished while all of them ran.
fn together(world: &World, builds: &[usize]) -> Vec<f64> {
    let from = builds.iter().filter_map(|&build| world.builds[build].started).max().unwrap_or(0);
    let until = builds.iter().filter_map(|&build| world.builds[build].ended).min().unwrap_or(world.now);
    let within = |build: &usize| world.builds[*build].done.iter().filter(|&&at| from < at && at <= until).count();
    builds.iter().map(within).map(|count| count as f64).collect()
}

fn first_ends(world: &mut World, builds: &[usize]) {
    while builds.iter().all(|&build| world.builds[build].ended.is_none()) {
        world.run(world.now + 10 * MS);
        assert!(world.now < 1000 * S, "a build hangs");
    }
}

struct Pair {
    name: &'static str,
    natures: &'static [Nature],
    weights: &'static [u32],
    /// All in one lease, as under one `run`.
    one_lease: bool,
}

const fn pair(name: &'static str, natures: &'static [Nature], weights: &'static [u32]) -> Pair {
    Pair { name, natures, weights, one_lease: false }
}

const fn inside(name: &'static str, natures: &'static [Nature]) -> Pair {
    Pair { name, natures, weights: &[1, 1], one_lease: true }
}

use Nature::{Keeping, Make, Ninja};
const PAIRS: &[Pair] = &[
    pair("make : make", &[Make, Make], &[1, 1]),
    pair("make : ninja", &[Make, Ninja], &[1, 1]),
    pair("ninja : make", &[Ninja, Make], &[1, 1]),
    pair("ninja : ninja", &[Ninja, Ninja], &[1, 1]),
    pair("make : make, weights 2:1", &[Make, Make], &[2, 1]),
    pair("make : ninja, weights 2:1", &[Make, Ninja], &[2, 1]),
    pair("make : make : make", &[Make, Make, Make], &[1, 1, 1]),
    pair("make : ninja : make", &[Make, Ninja, Make], &[1, 1, 1]),
    pair("make : cargo that keeps", &[Make, Keeping], &[1, 1]),
    pair("cargo that keeps : make", &[Keeping, Make], &[1, 1]),
    inside("one lease, make : make", &[Make, Make]),
    inside("one lease, make : ninja", &[Make, Ninja]),
    inside("one lease, ninja : make", &[Ninja, Make]),
];

/// Prints one row; answers whether the median is within the target.
fn fairness(pair: &Pair, job: Nanos, jobs: u32, low: f64, high: f64) -> bool {
    let (mut ratios, mut example) = (Vec::new(), Vec::new());
    for seed in 0..SEEDS {
        let mut world = World::new(seed * 7919 + 1, SLOTS);
        let mut builds = Vec::new();
        if pair.one_lease {
            // The lease's own command does nothing but wait; each client is told apart by a build of its own.
            for (i, &nature) in pair.natures.iter().enumerate() {
                let mut terms = terms("inside", 1);
                terms.inherited = true;
                builds.push(world.build(i as Nanos * LATER, terms, vec![Client::new(nature, jobs, job)]));
            }
            world.share_one_lease(SLOTS - 1);
        } else {
            for (i, (&nature, &weight)) in pair.natures.iter().zip(pair.weights).enumerate() {
                builds.push(world.build(
                    i as Nanos * LATER,
                    terms("build", weight),
                    vec![Client::new(nature, jobs, job)],
                ));
            }
        }
        first_ends(&mut world, &builds);
        let done = together(&world, &builds);
        if pair.natures.len() == 2 {
            ratios.push(done[0] / done[1].max(1.0));
        } else {
            let all: f64 = done.iter().sum();
            ratios.push(done.iter().fold(f64::MAX, |least, &one| least.min(one * done.len() as f64 / all)));
        }
        example = done;
    }
    let (middle, least, most) = median(ratios);
    let good = (low..=high).contains(&middle);
    println!(
        "{:26} {:4} ms  {middle:5.2} ({least:.2}..{most:.2})  target {low:.2}..{high:<5.2} {:4}  {example:?}",
        pair.name,
        job / MS,
        if good { "ok" } else { "MISS" }
    );
    good
}

/// A build alone and beside ten idle clients of its lease.
fn idle(name: &str, plan: &[Client], most: f64, idler: Nature, before: Nanos) -> bool {
    let time = |seed: u64, idlers: usize| {
        let mut world = World::new(seed * 104_729 + 3, 4);
        let idle = (0..idlers).map(|_| Client::new(idler, 0, 20 * MS)).collect();
        let mut terms = Terms::new("idle");
        terms.inherited = true;
        world.build(0, terms.clone(), idle);
        let build = world.build(before, terms, plan.to_vec());
        world.share_one_lease(3);
        world.run_until_ended(&[build], 1000 * S);
        (world.builds[build].ended.expect("it ended") - before) as f64
    };
    let (middle, least, high) = median((0..SEEDS).map(|seed| time(seed, 10) / time(seed, 0)).collect());
    let good = middle <= most;
    let word = if good { "ok" } else { "MISS" };
    println!("{name:58} {middle:5.3} ({least:.3}..{high:.3})  target {most:.2}  {word}");
    good
}

/// Prints all tables; answers whether every target was met.
pub fn run() -> bool {
    let mut good = true;
    println!("jobs finished while all ran, {SLOTS} slots, each build {} ms after the one before:", LATER / MS);
    println!("ratio of the first to the second, or the least share of three; median (least..most) of {SEEDS} seeds\n");
    for (job, jobs, low, high, least) in [(50 * MS, 150, 0.8, 1.25, 0.7), (500 * MS, 66, 0.67, 1.5, 0.7)] {
        for pair in PAIRS {
            let (low, high) = match (pair.natures.len(), pair.weights[0]) {
                (3, _) => (least, 1.0),
                (_, 2) => (1.6, 2.5),
                _ => (low, high),
            };
            let hoped = fairness(pair, job, jobs, low, high);
            // A client that never gives a token back while it has work can't be made to: shown, not asked for.
            good &= hoped || pair.natures.contains(&Keeping);
        }
        println!();
    }
    println!("wall time beside ten idle clients of the same lease, 4 slots, against alone:\n");
    let recursive = [Client::new(Nature::Recursive(20), 20, 20 * MS)];
    let short = [Client::new(Nature::Make, 2000, MS)];
    let ninja = [Client::new(Nature::Ninja, 400, 20 * MS)];
    for (what, idler) in [("waiting", Nature::Idle(0)), ("ninja-like", Nature::IdleNinja)] {
        for (when, before) in [("1 s before", S), ("at once", 0)] {
            good &= idle(
                &format!("recursive make, 20 x 20 jobs of 20 ms; {what}, {when}"),
                &recursive,
                1.05,
                idler,
                before,
            );
            good &= idle(&format!("make, 2000 jobs of 1 ms; {what}, {when}"), &short, 1.08, idler, before);
            good &= idle(&format!("ninja, 400 jobs of 20 ms; {what}, {when}"), &ninja, 1.08, idler, before);
        }
    }
    good
}
