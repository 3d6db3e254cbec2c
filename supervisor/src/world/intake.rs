//! The thread on which sensors' output becomes judged events.

use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{oneshot, watch};

use super::{clock, signals};
use crate::catalog::{Catalog, Sensor};
use crate::core::Input;
use crate::core::datastore::View;
use crate::core::handover::HandedIntake;
use crate::core::intake::Intake;
use crate::core::sensor::SensorIx;
use crate::rules::RuleSet;

/// Pieces of all sensors that wait for the thread.
const MOST_PIECES: usize = 64;

/// What the thread is given, in order.
#[derive(Debug)]
pub enum Piece {
    /// Some output of a sensor's start.
    Output {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// As read.
        bytes: Vec<u8>,
    },
    /// No more output of this start.
    End {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
    },
    /// Something that must not overtake the output before it.
    After(Input),
    /// What the thread knows once all before this is judged, for the next supervisor.
    HandOver(oneshot::Sender<HandedIntake>),
}

/// Packs, their rules, and what each sensor is by its index.
pub type Packs = (Arc<Catalog>, Arc<RuleSet>, Vec<Arc<Sensor>>);

/// By what the thread judges.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The datastore.
    pub store: View,
    /// New packs, after a reload.
    pub packs: Option<Packs>,
}

/// The way to the thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// What it is to read, in order.
    pub pieces: Sender<Piece>,
    /// By what it judges; only the latest counts.
    pub shown: watch::Sender<Shown>,
}

/// Starts the thread; what it makes of the pieces goes to `inputs`. It ends with the last sender,
/// and nobody waits for it: what it has not passed on was never acknowledged.
///
/// # Errors
/// When the system refuses another thread.
pub fn start(mut intake: Intake, inputs: Sender<Input>) -> std::io::Result<Thread> {
    let (pieces, waiting) = channel(MOST_PIECES);
    let (to, shown) = watch::channel(Shown::default());
    std::thread::Builder::new()
        .name("intake".into())
        .spawn(move || {
            signals::defer();
            run(&mut intake, waiting, shown, &inputs);
        })?;
    Ok(Thread { pieces, shown: to })
}

fn run(
    intake: &mut Intake,
    mut waiting: Receiver<Piece>,
    mut shown: watch::Receiver<Shown>,
    inputs: &Sender<Input>,
) {
    while let Some(piece) = waiting.blocking_recv() {
        if shown.has_changed().unwrap_or(false) {
            let Shown { store, packs } = shown.borrow_and_update().clone();
            intake.show(store);
            if let Some((catalog, rules, sensors)) = packs {
                intake.adopt(catalog, rules, sensors);
            }
        }
        for input in judge(intake, piece) {
            if inputs.blocking_send(input).is_err() {
                return;
            }
        }
    }
}

fn judge(intake: &mut Intake, piece: Piece) -> Vec<Input> {
    match piece {
        Piece::Output {
            sensor,
            generation,
            bytes,
        } => vec![Input::Said {
            sensor,
            generation,
            said: intake.feed(sensor, generation, &bytes, clock::now().wall),
        }],
        Piece::End { sensor, generation } => vec![
            Input::Said {
                sensor,
                generation,
                said: intake.end(sensor, generation, clock::now().wall),
            },
            Input::Drained { sensor, generation },
        ],
        Piece::After(mut input) => {
            if let Input::Ended {
                sensor,
                generation,
                end,
            } = &mut input
            {
                end.said = intake.last_heard(*sensor, *generation);
            }
            vec![input]
        }
        Piece::HandOver(to) => {
            // Nobody wants it any more only where the upgrade was given up.
            let _ = to.send(intake.hand_over());
            Vec::new()
        }
    }
}
