//! What a sensor can be, what can happen to it and what is to be done: the vocabulary of a life.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::record::Exit;

/// What is wanted of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Desired {
    /// It runs.
    Up,
    /// It does not.
    Down,
    /// It rests: told so where it can be, else stopped until it is to go on.
    Paused,
}

/// Why a sensor waits for a person or for a new configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkedBy {
    /// The sensor said that its configuration is wrong.
    Config,
    /// It ended with a code after which its policy starts it no more.
    ExitCode,
    /// Its program could not be started, several times.
    Start,
    /// Starts came too often and the policy says `park`.
    Limit,
    /// Too many messages could not be used.
    Protocol,
    /// It said events faster than its policy bears.
    Rate,
}

/// What made us end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// It was not ready in time.
    StartTimeout,
    /// It gave no sign of life.
    Silence,
    /// One `poll()` took too long.
    Poll,
    /// It used too much memory: an ordered restart.
    Memory,
    /// It reached its age: an ordered restart.
    Age,
    /// Too many messages could not be used.
    Protocol,
    /// It said events too fast.
    Rate,
}

impl EndedBy {
    /// In a few words, after "ended: ".
    pub fn words(self) -> &'static str {
        match self {
            Self::StartTimeout => "it was not ready in time",
            Self::Silence => "it gave no sign of life",
            Self::Poll => "its poll took too long",
            Self::Memory => "it used too much memory",
            Self::Age => "it reached its age",
            Self::Protocol => "too many of its messages could not be used",
            Self::Rate => "it said events too fast",
        }
    }

    /// The policy's own doing, and no failure of the sensor.
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::Memory | Self::Age)
    }
}

/// What made a sensor stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StalledBy {
    /// No sign of life.
    Silence,
    /// One `poll()` goes on and on.
    Poll,
}

/// What is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// No process and none wanted.
    Down,
    /// To be started as soon as a start slot is free.
    Queued,
    /// A process was asked for and has not proven to be ready.
    Starting {
        /// When it must be ready.
        ready_by: Duration,
    },
    /// At work.
    Ready {
        /// Since when.
        since: Duration,
    },
    /// At work, but silent for longer than its policy likes.
    Stalled {
        /// Ready since.
        since: Duration,
        /// Then it is ended.
        until: Duration,
        /// What is missing.
        by: StalledBy,
    },
    /// Asked to end, in its own way (`shutdown` and the end of its input) until `until`.
    Asked {
        /// Then the signal.
        until: Duration,
    },
    /// Sent the stop signal.
    Terminated {
        /// Then its group gets the signal too, or SIGKILL follows.
        until: Duration,
        /// Its group has it already.
        group: bool,
    },
    /// Sent SIGABRT, to leave a trace of where it hangs.
    Aborting {
        /// Then SIGKILL.
        until: Duration,
    },
    /// Sent SIGKILL; nothing is started before the tree is proven empty.
    Killing {
        /// Then it counts as unkillable.
        until: Duration,
    },
    /// SIGKILL did not end it: the kernel holds it, or it is not ours to kill.
    Unkillable {
        /// Then SIGKILL again.
        until: Duration,
    },
    /// Waits for its next start.
    Backoff {
        /// The start.
        until: Duration,
    },
    /// Failed too often; waits for a probe start.
    Cooldown {
        /// The probe.
        until: Duration,
    },
    /// Waits for a person, or for a new configuration.
    Parked(ParkedBy),
    /// Ended, and its policy says that this was all.
    Completed,
}

impl State {
    /// The word that users see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Queued => "waiting",
            Self::Starting { .. } => "starting",
            Self::Ready { .. } => "ready",
            Self::Stalled { .. } => "stalled",
            Self::Asked { .. } | Self::Terminated { .. } => "stopping",
            Self::Aborting { .. } | Self::Killing { .. } => "killing",
            Self::Unkillable { .. } => "unkillable",
            Self::Backoff { .. } => "backoff",
            Self::Cooldown { .. } => "cooldown",
            Self::Parked(_) => "parked",
            Self::Completed => "completed",
        }
    }

    /// Whether a process exists, or was asked for.
    pub fn is_live(self) -> bool {
        self.is_up() || self.is_ending()
    }

    /// Whether a process exists, or was asked for, and nobody wants its end.
    pub fn is_up(self) -> bool {
        matches!(
            self,
            Self::Starting { .. } | Self::Ready { .. } | Self::Stalled { .. }
        )
    }

    /// Whether it is on its way out.
    pub fn is_ending(self) -> bool {
        matches!(
            self,
            Self::Asked { .. }
                | Self::Terminated { .. }
                | Self::Aborting { .. }
                | Self::Killing { .. }
                | Self::Unkillable { .. }
        )
    }

    /// When this state ends by itself.
    pub(super) fn deadline(self) -> Option<Duration> {
        match self {
            Self::Starting { ready_by } => Some(ready_by),
            Self::Stalled { until, .. }
            | Self::Asked { until }
            | Self::Terminated { until, .. }
            | Self::Aborting { until }
            | Self::Killing { until }
            | Self::Unkillable { until }
            | Self::Backoff { until }
            | Self::Cooldown { until } => Some(until),
            Self::Down | Self::Queued | Self::Ready { .. } | Self::Parked(_) | Self::Completed => {
                None
            }
        }
    }
}

/// What can happen to a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// It is wanted: at the start of the supervisor, or because a person says so.
    Start,
    /// A start slot is free.
    Slot,
    /// It is no longer wanted.
    Stop,
    /// It must end now, without being asked.
    StopNow,
    /// An ordered stop, and a start right after it; a start where there is nothing to stop.
    Restart,
    /// The same for a change of what it is made of, which nobody asked to be started: one that
    /// rests ends, and is made anew when it is to go on.
    Renew,
    /// It is to rest.
    Pause,
    /// It is to go on.
    Resume,
    /// The wrapper became the program.
    Executed {
        /// Which start.
        generation: u64,
        /// Its host will say `ready`.
        hosted: bool,
    },
    /// It said `hello`: from now on it must say `ready`, and can be asked to end.
    Hello {
        /// Which start.
        generation: u64,
        /// It will beat.
        beats: bool,
        /// It can be told to rest.
        pauses: bool,
    },
    /// It said that it is at work.
    Ready {
        /// Which start.
        generation: u64,
    },
    /// It said so on the descriptor that its policy gives it.
    Notified {
        /// Which start.
        generation: u64,
    },
    /// It said anything at all.
    Sign {
        /// Which start.
        generation: u64,
    },
    /// A heartbeat.
    Beat {
        /// Which start.
        generation: u64,
        /// More time is asked for, from now.
        extend: Option<Duration>,
        /// For how long its present `poll()` has gone on.
        poll: Option<Duration>,
    },
    /// Its last words: its configuration is wrong.
    ConfigFault {
        /// Which start.
        generation: u64,
    },
    /// Its last words: the trouble will pass.
    Transient {
        /// Which start.
        generation: u64,
        /// When another start may go better.
        retry_after: Option<Duration>,
    },
    /// It did what its policy does not bear.
    Fault {
        /// Which start.
        generation: u64,
        /// What.
        by: EndedBy,
    },
    /// How much memory it has.
    Measured {
        /// Which start.
        generation: u64,
        /// Resident, bytes.
        rss: u64,
    },
    /// Its process and all that it started are gone, or it could not be started.
    Ended {
        /// Which start.
        generation: u64,
        /// How.
        exit: Exit,
        /// The program never began.
        never_began: bool,
        /// Chance for the jitter, 0 to 1.
        luck: f64,
    },
    /// We ourselves were not running for so long.
    Lag(Duration),
    /// Time went by.
    Timer,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the process of this generation.
    Spawn(u64),
    /// Say `shutdown`, close its input.
    Ask(u64),
    /// The stop signal to its leader.
    Terminate(u64),
    /// The stop signal to its group.
    TerminateGroup(u64),
    /// SIGABRT to its leader.
    Abort(u64),
    /// SIGKILL to its tree.
    Kill(u64),
    /// Ask it for a trace of its stack.
    Trace(u64),
    /// Say `pause`.
    Pause(u64),
    /// Say `resume`.
    Resume(u64),
    /// Ask how much memory it has.
    Measure(u64),
    /// Stop the supervisor: this is for whoever supervises it.
    Escalate,
}
