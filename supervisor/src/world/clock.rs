//! The only place that reads a clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::core::clock::{Now, Wall};

static START: OnceLock<Instant> = OnceLock::new();

/// Now, by both clocks.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Now {
    let instant = Instant::now();
    let mono = instant.duration_since(*START.get_or_init(|| instant));
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        mono,
        wall: Wall(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)),
    }
}

/// The steady clock's reading at which our time began, for whoever goes on with it.
pub fn origin() -> Duration {
    steady().saturating_sub(now().mono)
}

/// Goes on with the time of another program; before anybody asks for ours.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn go_on_from(origin: Duration) {
    let age = steady().saturating_sub(origin);
    if let Some(start) = Instant::now().checked_sub(age) {
        // Somebody asked already: then time begins anew, and what was to be done is done late.
        let _ = START.set(start);
    }
}

/// The clock that `Instant` reads.
fn steady() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}

/// The host's time zone; UTC where it cannot be told.
pub fn zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::try_system().unwrap_or(jiff::tz::TimeZone::UTC)
}

/// The moment of `mono`, for a timer.
pub fn instant(mono: Duration) -> tokio::time::Instant {
    now();
    let start = START.get().copied().map(tokio::time::Instant::from_std);
    start.map_or_else(tokio::time::Instant::now, |start| start + mono)
}
