//! Every knob by its dotted path.

use super::kind::{Accessor, Kind, choice, number, place_of, words_of};
use crate::catalog::policy::{
    Durability, Group, NetworkMode, OnExcess, OnLimit, Profile, Readiness, RestartWhen, StopSignal,
    Syscalls, Tree, WatchdogMode, Word,
};

const MOST: u64 = u32::MAX as u64;
/// More than any machine has.
const MOST_BYTES: u64 = 1 << 50;

/// What `sandbox.require` may name.
pub const FEATURES: &[&str] = &[
    "no_new_privs",
    "landlock",
    "seccomp",
    "private_tmp",
    "user",
    "network",
    "pidns",
    "cgroup",
    "memory",
    "tasks",
    "cpu",
];

/// The top-level keys under which knobs stand.
pub const SECTIONS: &[&str] = &[
    "restart", "start", "watchdog", "stop", "limits", "sandbox", "journal",
];

/// In the order in which they are shown.
pub const KNOBS: &[(&str, Kind)] = &[
    ("restart.policy", choice!(RestartWhen, restart.policy)),
    (
        "restart.initial_delay",
        Kind::Duration(|p| &mut p.restart.initial_delay),
    ),
    (
        "restart.multiplier",
        Kind::Number(1.0, 1000.0, |p| &mut p.restart.multiplier),
    ),
    (
        "restart.max_delay",
        Kind::Duration(|p| &mut p.restart.max_delay),
    ),
    (
        "restart.jitter",
        Kind::Number(0.0, 1.0, |p| &mut p.restart.jitter),
    ),
    (
        "restart.reset_after",
        Kind::Duration(|p| &mut p.restart.reset_after),
    ),
    (
        "restart.success_exit_codes",
        Kind::Codes(|p| &mut p.restart.success_exit_codes),
    ),
    (
        "restart.no_restart_exit_codes",
        Kind::Codes(|p| &mut p.restart.no_restart_exit_codes),
    ),
    (
        "restart.immediate_exit_codes",
        Kind::Codes(|p| &mut p.restart.immediate_exit_codes),
    ),
    (
        "restart.limit.burst",
        Kind::Count(0, MOST, number!(restart.limit.burst as u32)),
    ),
    (
        "restart.limit.interval",
        Kind::Duration(|p| &mut p.restart.limit.interval),
    ),
    (
        "restart.limit.on_limit",
        choice!(OnLimit, restart.limit.on_limit),
    ),
    (
        "restart.limit.cooldown",
        Kind::Duration(|p| &mut p.restart.limit.cooldown),
    ),
    ("restart.group", choice!(Group, restart.group)),
    ("start.ready", choice!(Readiness, start.ready)),
    (
        "start.ready_timeout",
        Kind::Duration(|p| &mut p.start.ready_timeout),
    ),
    ("watchdog.mode", choice!(WatchdogMode, watchdog.mode)),
    (
        "watchdog.interval",
        Kind::Duration(|p| &mut p.watchdog.interval),
    ),
    (
        "watchdog.soft_timeout",
        Kind::Duration(|p| &mut p.watchdog.soft_timeout),
    ),
    (
        "watchdog.timeout",
        Kind::Duration(|p| &mut p.watchdog.timeout),
    ),
    (
        "watchdog.abort_timeout",
        Kind::Duration(|p| &mut p.watchdog.abort_timeout),
    ),
    (
        "watchdog.lag_credit",
        Kind::Flag(|p| &mut p.watchdog.lag_credit),
    ),
    (
        "watchdog.poll_timeout",
        Kind::Duration(|p| &mut p.watchdog.poll_timeout),
    ),
    (
        "watchdog.max_rss_restart",
        Kind::Bytes(0, MOST_BYTES, number!(watchdog.max_rss_restart as u64)),
    ),
    (
        "watchdog.max_lifetime",
        Kind::Duration(|p| &mut p.watchdog.max_lifetime),
    ),
    ("stop.request", Kind::Flag(|p| &mut p.stop.request)),
    (
        "stop.request_timeout",
        Kind::Duration(|p| &mut p.stop.request_timeout),
    ),
    ("stop.signal", choice!(StopSignal, stop.signal)),
    ("stop.grace", Kind::Duration(|p| &mut p.stop.grace)),
    (
        "stop.kill_timeout",
        Kind::Duration(|p| &mut p.stop.kill_timeout),
    ),
    (
        "stop.drain_timeout",
        Kind::Duration(|p| &mut p.stop.drain_timeout),
    ),
    (
        "limits.line_bytes",
        Kind::Bytes(1024, 1 << 30, number!(limits.line_bytes as usize)),
    ),
    (
        "limits.in_flight",
        Kind::Count(1, 1_000_000, number!(limits.in_flight as u32)),
    ),
    (
        "limits.rate.events_per_s",
        Kind::Number(0.0, 1e9, |p| &mut p.limits.rate.events_per_s),
    ),
    (
        "limits.rate.burst",
        Kind::Count(1, MOST, number!(limits.rate.burst as u32)),
    ),
    (
        "limits.rate.on_excess",
        choice!(OnExcess, limits.rate.on_excess),
    ),
    (
        "limits.protocol_errors.burst",
        Kind::Count(0, MOST, number!(limits.protocol_errors.burst as u32)),
    ),
    (
        "limits.protocol_errors.interval",
        Kind::Duration(|p| &mut p.limits.protocol_errors.interval),
    ),
    (
        "limits.log.bytes_per_s",
        Kind::Bytes(0, MOST_BYTES, number!(limits.log.bytes_per_s as u64)),
    ),
    (
        "limits.log.burst",
        Kind::Bytes(1024, MOST_BYTES, number!(limits.log.burst as u64)),
    ),
    (
        "limits.log.line_bytes",
        Kind::Bytes(256, 1 << 24, number!(limits.log.line_bytes as u64)),
    ),
    (
        "limits.memory_max",
        Kind::Bytes(0, MOST_BYTES, number!(limits.memory_max as u64)),
    ),
    (
        "limits.tasks_max",
        Kind::Count(0, MOST, number!(limits.tasks_max as u64)),
    ),
    (
        "limits.cpu",
        Kind::Number(0.0, 4096.0, |p| &mut p.limits.cpu),
    ),
    (
        "limits.nofile",
        Kind::Count(0, MOST, number!(limits.nofile as u64)),
    ),
    (
        "limits.fsize",
        Kind::Bytes(0, MOST_BYTES, number!(limits.fsize as u64)),
    ),
    (
        "limits.core",
        Kind::Bytes(0, MOST_BYTES, number!(limits.core as u64)),
    ),
    (
        "limits.oom_score_adj",
        Kind::Whole(-1000, 1000, |p| &mut p.limits.oom_score_adj),
    ),
    (
        "limits.pipe_bytes",
        Kind::Bytes(4096, 1 << 20, number!(limits.pipe_bytes as u32)),
    ),
    ("sandbox.profile", choice!(Profile, sandbox.profile)),
    ("sandbox.tree", choice!(Tree, sandbox.tree)),
    (
        "sandbox.require",
        Kind::Names(FEATURES, |p| &mut p.sandbox.require),
    ),
    ("sandbox.user", Kind::User(|p| &mut p.sandbox.user)),
    (
        "sandbox.filesystem.read",
        Kind::Paths(|p| &mut p.sandbox.filesystem.read),
    ),
    (
        "sandbox.filesystem.write",
        Kind::Paths(|p| &mut p.sandbox.filesystem.write),
    ),
    (
        "sandbox.filesystem.private_tmp",
        Kind::Flag(|p| &mut p.sandbox.filesystem.private_tmp),
    ),
    (
        "sandbox.network.mode",
        choice!(NetworkMode, sandbox.network.mode),
    ),
    (
        "sandbox.network.connect_ports",
        Kind::Ports(|p| &mut p.sandbox.network.connect_ports),
    ),
    (
        "sandbox.network.bind",
        Kind::Ports(|p| &mut p.sandbox.network.bind),
    ),
    ("sandbox.syscalls", choice!(Syscalls, sandbox.syscalls)),
    (
        "sandbox.env_allow",
        Kind::Names(&[], |p| &mut p.sandbox.env_allow),
    ),
    (
        "sandbox.no_new_privs",
        Kind::Flag(|p| &mut p.sandbox.no_new_privs),
    ),
    (
        "journal.durability",
        choice!(Durability, journal.durability),
    ),
];
