//! The core in a made-up world, by seed: answers come late, doubled or not at all, children die at
//! any moment, and so does the supervisor. [`world`] plays everything outside, [`journal`] the disk.
//!
//! What must hold: what was answered is on disk; every event has exactly the executions that it
//! caused; an action begins at most once, ever; a sensor never has two processes; slots and credit
//! are never overdrawn; a stop comes to rest. `PETREL_SIM_SEEDS=N` plays more seeds.

mod journal;
mod packs;
mod world;

use world::World;

/// Chance, from a seed (splitmix64).
#[derive(Debug)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in so many of a hundred cases.
    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// Plays one seed: some lives that end in a crash, and one that is stopped in order.
fn play(seed: u64) -> World {
    let mut world = World::new(Rng(seed));
    let crashes = world.rng.below(4);
    for _ in 0..crashes {
        world.live(false);
    }
    world.live(true);
    world.journal.check(&world.answered, &world.begun);
    world
}

#[test]
fn every_seed_keeps_the_promises() {
    let seeds = std::env::var("PETREL_SIM_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok());
    let (mut events, mut runs, mut duplicates) = (0, 0, 0);
    for seed in 0..seeds.unwrap_or(3000) {
        let played = std::panic::catch_unwind(|| play(seed));
        let world = played.unwrap_or_else(|_| panic!("seed {seed} breaks a promise"));
        events += world.journal.events.len();
        duplicates += world.journal.refused;
        runs += world.begun.len();
    }
    println!("{events} events, {duplicates} duplicates, {runs} actions begun");
    assert!(events > 1000 && runs > 500 && duplicates > 50, "too quiet");
}
