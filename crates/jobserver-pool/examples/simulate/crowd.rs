//! Up to a thousand leases with twenty clients each, of all kinds at once: what is used, who gets how much, who waits
//! longest, and what a decision costs.

use jobserver_pool::ledger::Terms;
use jobserver_pool::scheduler::Nanos;

use crate::clients::{Client, Nature};
use crate::world::{World, MS, S};

const SLOTS_A_LEASE: u32 = 4;
const WARM: Nanos = 5 * S;
const LONG: Nanos = 20 * S;
const ENDLESS: u32 = 1 << 30;

/// Makes, ninjas, cargos, clients that are idle for most of the time or for all of it, some that get killed; in each
/// twentieth lease one that never returns anything.
fn plan(world: &mut World, lease: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for i in 0..20 {
        let job = world.chance.between(50 * MS, 500 * MS);
        let client = match i {
            0..=5 => Client::new(Nature::Make, ENDLESS, job),
            6..=9 => Client::new(Nature::Ninja, ENDLESS, job),
            10..=14 => Client::new(Nature::Idle(2 * S), 0, job),
            15 | 16 => Client::new(Nature::IdleNinja, 0, job),
            17 => Client::new(Nature::Make, ENDLESS, job).dying(2 * S),
            18 => Client::new(Nature::Ninja, ENDLESS, job).dying(2 * S),
            _ if lease % 20 == 0 => Client::new(Nature::Greedy, ENDLESS, job),
            _ => Client::new(Nature::Idle(0), 0, job),
        };
        clients.push(client);
    }
    clients
}

/// One size; answers utilisation, fairness and the longest wait.
fn crowd(leases: u32) -> (f64, f64, Nanos) {
    let capacity = SLOTS_A_LEASE * leases;
    let mut world = World::new(u64::from(leases), capacity);
    for lease in 0..leases as usize {
        let mut terms = Terms::new("one of many");
        terms.weight = 1 + lease as u32 % 4;
        let plan = plan(&mut world, lease);
        let at = world.chance.between(0, 2 * S);
        world.build(at, terms, plan);
    }
    world.run(WARM);
    world.clients.iter_mut().for_each(|client| client.waits.clear());
    (world.spent, world.calls, world.actions) = Default::default();
    let (mut held, mut samples, mut shares) = (0, 0, vec![0.0; leases as usize]);
    while world.now < LONG {
        world.run(world.now + 10 * MS);
        let ledger = world.pool.ledger();
        held += u64::from(ledger.held());
        samples += 1;
        for (share, build) in shares.iter_mut().zip(&world.builds) {
            let account = build.lease.and_then(|lease| ledger.lease(lease));
            *share += account.map_or(0.0, |a| f64::from(a.held()) / f64::from(a.terms().weight));
        }
    }
    world.pool.ledger().recount().expect("every slot is somewhere");
    let utilisation = held as f64 / (samples * u64::from(capacity)) as f64;
    // What a client took while nobody else was there, and never returns, can't be had back: not a question of shares.
    let greedy = shares.iter().step_by(20).zip((0..).step_by(20).map(|lease| 1 + lease % 4));
    let greedy = greedy.map(|(share, weight)| share * f64::from(weight)).sum::<f64>() / held as f64;
    let shares: Vec<f64> = shares.iter().enumerate().filter(|(lease, _)| lease % 20 != 0).map(|(_, x)| *x).collect();
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    let jain = sum * sum / (shares.len() as f64 * squares);
    let now = world.now;
    let mut waits: Vec<Nanos> = Vec::new();
    for client in world.clients.iter().filter(|client| client.nature == Nature::Make && client.endpoint.is_some()) {
        waits.extend(&client.waits);
        waits.extend(client.blocked.map(|since| now - since));
    }
    waits.sort_unstable();
    let longest = waits.last().copied().unwrap_or(0);
    let decisions = world.calls.max(1);
    println!(
        "{:6} clients {:5} leases {:5} slots  used {:5.1} % (greedy leases {:4.1} %)  Jain {:.3}  wait p50 {:4} p99 {:5} longest {:5} ms  \
         {:8} decisions, {:7} actions, {:5.0} ns each",
        leases * 20,
        leases,
        capacity,
        utilisation * 100.0,
        greedy * 100.0,
        jain,
        waits[waits.len() / 2] / MS,
        waits[waits.len() * 99 / 100] / MS,
        longest / MS,
        decisions,
        world.actions,
        world.spent.as_nanos() as f64 / decisions as f64,
    );
    (utilisation, jain, longest)
}

/// Prints the table; answers whether the largest crowd was served well.
pub fn run() -> bool {
    println!(
        "\nleases of twenty clients of all kinds, weights 1 to 4, {} s after {} s:\n",
        (LONG - WARM) / S,
        WARM / S
    );
    crowd(50);
    crowd(250);
    let (utilisation, jain, longest) = crowd(1000);
    utilisation > 0.9 && jain > 0.9 && longest < 15 * S
}
