//! A sensor's process: its pipe, how it dies, and how its end is noticed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::agenda::{Happening, Start};
use super::world::{CREDIT, World};
use crate::catalog::Sensor;
use crate::core::clock::Wall;
use crate::core::record::{End, Exit};
use crate::core::{Input, Signal};

/// A program that has written so much waits for its reader.
const PIPE: usize = 4096;

/// What a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Our host runs it: it converses, and must say `ready`.
    Hosted,
    /// It only prints payloads.
    Prints,
    /// It converses of its own accord.
    Converses,
}

#[derive(Debug)]
pub struct Child {
    pub kind: Kind,
    pub reference: String,
    pub alive: bool,
    /// It does nothing any more, and hears nothing but SIGKILL.
    pub hangs: bool,
    /// It was told to rest.
    pub rests: bool,
    /// It wrote `hello`.
    pub greeted: bool,
    /// What it wrote and nobody read.
    pub pipe: Vec<u8>,
    /// What is left of the line that it is about to write, and where its text ends.
    pub rest: Vec<u8>,
    /// Numbers of the events in that line.
    pub numbers: Vec<u64>,
    /// Requests without an answer: what is asked for.
    pub open: BTreeMap<u64, Wants>,
    pub last_id: u64,
    /// How it is to end, once it has said its last words.
    pub leaves: Option<i32>,
    /// Pieces of its output that are not settled.
    pub unsettled: usize,
    pub end_is_read: bool,
    pub is_drained: bool,
    /// Its death was told.
    pub is_reaped: bool,
}

/// What a request waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wants {
    Greeting,
    Event(u64),
    Refusal(u64),
    /// This value is to be on disk.
    Kept(String),
    Anything,
}

impl Child {
    pub fn new(spec: &Sensor) -> Self {
        let file = spec.file_path.to_string_lossy();
        let kind = match &*file {
            name if name.ends_with(".py") => Kind::Hosted,
            name if name.ends_with(".sh") => Kind::Prints,
            _ => Kind::Converses,
        };
        Self {
            kind,
            reference: spec.reference.clone(),
            alive: true,
            hangs: false,
            rests: false,
            greeted: false,
            pipe: Vec::new(),
            rest: Vec::new(),
            numbers: Vec::new(),
            open: BTreeMap::new(),
            last_id: 0,
            leaves: None,
            unsettled: 0,
            end_is_read: false,
            is_drained: false,
            is_reaped: false,
        }
    }

    pub fn is_full(&self) -> bool {
        self.pipe.len() > PIPE
    }
}

/// What the intake thread is given, in order.
#[derive(Debug)]
pub enum Piece {
    Output(Start, Vec<u8>),
    End(Start),
    After(Input),
}

impl World {
    /// It writes what it had begun to write, all or a part of it.
    pub fn write_on(&mut self, start: Start) {
        let child = self.children.get_mut(&start).expect("it is alive");
        let whole = child.rest.len();
        let count = match self.rng.percent(12) {
            true => 1 + self.rng.below(whole as u64) as usize,
            false => whole,
        };
        let left = child.rest.split_off(count);
        let part = std::mem::replace(&mut child.rest, left);
        child.pipe.extend(part);
        // Without its newline the text is whole, too.
        if child.rest.len() <= 1 {
            self.whole.append(&mut child.numbers);
        }
        self.seen.torn += usize::from(count < whole);
        self.later(5, Happening::Read(start));
    }

    /// Its pipe is read as far as there is credit: a piece of any size, in the end the end.
    pub fn read(&mut self, start: Start) {
        let child = self.children.get_mut(&start).expect("it has a pipe");
        let held_up = self.gate_is_shut && child.alive;
        if child.end_is_read || held_up || child.unsettled >= CREDIT {
            return;
        }
        let piece = if !child.pipe.is_empty() {
            let all = child.pipe.len() as u64;
            let size = match self.rng.percent(20) {
                true => 1 + self.rng.below(all.min(10)),
                false if self.rng.percent(50) => 1 + self.rng.below(all),
                false => all,
            };
            let left = child.pipe.split_off(size as usize);
            let bytes = std::mem::replace(&mut child.pipe, left);
            Piece::Output(start, bytes)
        } else if !child.alive {
            child.end_is_read = true;
            Piece::End(start)
        } else {
            return;
        };
        child.unsettled += 1;
        self.give(piece);
        self.later(5, Happening::Read(start));
    }

    pub fn give(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
        self.later(5, Happening::Judge);
    }

    /// The intake thread takes the next piece, by the packs and the datastore as it sees them now.
    pub fn judge(&mut self) {
        let wall = self.wall();
        let piece = self.pieces.pop_front().expect("one for each look");
        let intake = &mut self.intake;
        if let Some((catalog, rules, sensors)) = self.adopted.take() {
            intake.adopt(catalog, rules, sensors);
        }
        intake.show(self.shown.clone());
        let inputs = match piece {
            Piece::Output((sensor, generation), bytes) => vec![Input::Said {
                sensor,
                generation,
                said: intake.feed(sensor, generation, &bytes, wall),
            }],
            Piece::End((sensor, generation)) => {
                let said = intake.end(sensor, generation, wall);
                let said = Input::Said {
                    sensor,
                    generation,
                    said,
                };
                vec![said, Input::Drained { sensor, generation }]
            }
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
        };
        for input in inputs {
            let wait = Duration::from_millis(self.rng.below(4));
            self.agenda.judged(self.now + wait, input);
        }
    }

    pub fn die_later(&mut self, start: Start, most_ms: u64) {
        let exit = match self.rng.percent(50) {
            true => Exit {
                code: Some(self.rng.pick(&[0, 0, 1, 1, 1, 1, 75, 78])),
                signal: None,
            },
            false => Exit {
                code: None,
                signal: Some(9),
            },
        };
        self.later(most_ms, Happening::Die(start, exit));
    }

    /// What it wrote stays in its pipe; half a line stays half.
    pub fn die(&mut self, start: Start, exit: Exit) {
        let child = self.children.get_mut(&start).expect("it was there");
        if !child.alive {
            return;
        }
        child.alive = false;
        self.deaths.insert(start, exit);
        self.later(20, Happening::Reap(start));
        self.later(40, Happening::Read(start));
    }

    /// Its end is noticed: after what was read of it by then, before or after the rest.
    pub fn reap(&mut self, start: Start) {
        let (sensor, generation) = start;
        let exit = self.deaths.remove(&start).expect("it died");
        let luck = self.rng.below(100) as f64 / 100.0;
        let end = Box::new(End {
            exit,
            luck,
            ..End::default()
        });
        self.give(Piece::After(Input::Ended {
            sensor,
            generation,
            end,
        }));
    }

    pub fn signalled(&mut self, start: Start, signal: Signal) {
        let child = self.children.get(&start).expect("it was started");
        match signal {
            Signal::Kill if self.rng.percent(98) => self.die_later(start, 300),
            Signal::Kill => self.die_later(start, 60_000),
            Signal::Trace => {}
            Signal::Abort if child.hangs && self.rng.percent(50) => {}
            Signal::Stop(_) | Signal::StopGroup(_) if child.hangs || self.rng.percent(20) => {}
            Signal::Abort | Signal::Stop(_) | Signal::StopGroup(_) => self.die_later(start, 300),
        }
    }

    pub fn wall(&self) -> Wall {
        let micros = i64::try_from(self.now.as_micros()).unwrap_or(0);
        Wall(micros + self.clock)
    }
}
