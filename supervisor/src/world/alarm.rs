//! A timer on the calendar: it rings at a time of day, also when the clock is set meanwhile or the
//! machine slept, which a timer on the steady clock would not notice.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::spawn;
use crate::core::clock::Wall;

/// The alarm. It is set again for every wait, which costs one system call where the time changed.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    set: Option<Wall>,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// When the system has no timers left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        Ok(Self {
            timer: spawn::watched(timer)?,
            set: None,
        })
    }

    /// Returns at `at`, or earlier when the clock is set; never where there is no time.
    pub async fn ring(&mut self, at: Option<Wall>) {
        if self.set != at && self.arm(at).is_err() {
            // Without a timer the time is looked at whenever anything else happens.
            return std::future::pending().await;
        }
        if at.is_none() {
            return std::future::pending().await;
        }
        if let Ok(mut ready) = self.timer.readable().await {
            // Read or not, the next wait sets it anew.
            ready.clear_ready();
            self.set = None;
        }
    }

    fn arm(&mut self, at: Option<Wall>) -> io::Result<()> {
        let (flags, time) = match at {
            Some(at) => (
                TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
                // Zero would mean never.
                Wall(at.0.max(1)),
            ),
            None => (TimerfdTimerFlags::empty(), Wall(0)),
        };
        let value = Timespec {
            tv_sec: time.seconds(),
            tv_nsec: time.0.rem_euclid(1_000_000) * 1000,
        };
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spec = Itimerspec {
            it_interval: never,
            it_value: value,
        };
        timerfd_settime(self.timer.get_ref(), flags, &spec)?;
        self.set = at;
        Ok(())
    }
}
