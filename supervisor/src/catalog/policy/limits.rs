//! `limits:`.

use std::time::Duration;

use super::words::words;

/// `limits:`. Zero means no limit wherever a limit may be absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Longest line of a sensor, bytes.
    pub line_bytes: usize,
    /// Most requests of a sensor without an answer.
    pub in_flight: u32,
    /// How fast it may say events.
    pub rate: Rate,
    /// How many unusable messages are borne.
    pub protocol_errors: ProtocolErrors,
    /// What of its log is kept.
    pub log: LogLimits,
    /// Memory of the whole tree, bytes; needs a cgroup with the memory controller.
    pub memory_max: u64,
    /// Processes and threads of the whole tree; needs a cgroup with the pids controller.
    pub tasks_max: u64,
    /// Processors, such as 0.5; needs a cgroup with the cpu controller.
    pub cpu: f64,
    /// Open files (the soft limit); zero leaves it as it was when the supervisor started.
    pub nofile: u64,
    /// Longest file that it may write, bytes.
    pub fsize: u64,
    /// Longest core dump, bytes; here zero means none at all.
    pub core: u64,
    /// Added to the kernel's mind when memory runs out, -1000 to 1000: the sensor goes before the
    /// supervisor.
    pub oom_score_adj: i32,
    /// Size of each of its pipes, bytes.
    pub pipe_bytes: u32,
}

/// `limits.rate`: `events_per_s` over time, `burst` at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// Events per second; 0 means no limit.
    pub events_per_s: f64,
    /// Events that may come at once.
    pub burst: u32,
    /// What follows above it.
    pub on_excess: OnExcess,
}

/// `limits.protocol_errors`: more than `burst` unusable messages within `interval` park the sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtocolErrors {
    /// Unusable messages that are borne; 0 means any number.
    pub burst: u32,
    /// Length of the sliding window.
    pub interval: Duration,
}

/// `limits.log`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLimits {
    /// Bytes of log per second that are kept over time; 0 means no limit.
    pub bytes_per_s: u64,
    /// Bytes that may come at once.
    pub burst: u64,
    /// Longest line, bytes; the rest of it is cut.
    pub line_bytes: u64,
}

words! {
    /// What follows when a sensor is faster than its rate.
    OnExcess {
        /// It waits in its own write.
        Backpressure = "backpressure",
        /// It is stopped and parked until a person starts it.
        Park = "park",
    }
}
