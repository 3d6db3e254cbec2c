//! How fast a sensor may say events (`limits.rate`): a bucket of tokens that refills over time.
//!
//! A sensor that is ahead of its rate is not read until it is in time again: it waits in its own
//! write, and nothing is lost.

use std::time::Duration;

use super::lifecycle::{EndedBy, Event};
use super::sensor::SensorIx;
use super::step::Core;
use crate::catalog::policy::{OnExcess, Rate};

/// See the module. It begins full.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    /// A full one.
    pub fn new(rate: &Rate, now: Duration) -> Self {
        Self {
            tokens: f64::from(rate.burst),
            at: now,
        }
    }

    /// Takes so many tokens; how long it is until none is owed any more.
    fn take(&mut self, count: usize, rate: &Rate, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        let filled = self.tokens + passed * rate.events_per_s;
        self.tokens = filled.min(f64::from(rate.burst)) - count as f64;
        Duration::from_secs_f64((-self.tokens / rate.events_per_s).clamp(0.0, 86_400.0))
    }
}

impl Core {
    /// A piece of a sensor's output with so many events is taken: the next one may be read, now or
    /// once the sensor is within its rate again.
    pub(super) fn credit(&mut self, sensor: SensorIx, generation: u64, events: usize) {
        let now = self.now.mono;
        let slot = &mut self.sensors[sensor.0];
        let rate = &slot.spec.policy.limits.rate;
        let wait = match rate.events_per_s > 0.0 {
            true => {
                let bucket = slot.bucket.get_or_insert_with(|| Bucket::new(rate, now));
                bucket.take(events, rate, now)
            }
            false => Duration::ZERO,
        };
        if wait.is_zero() {
            return self.give_credit(sensor, generation, events);
        }
        if rate.on_excess == OnExcess::Park {
            let by = EndedBy::Rate;
            self.live(sensor, Event::Fault { generation, by });
            return self.give_credit(sensor, generation, events);
        }
        self.sensors[sensor.0].frozen.push(generation);
        self.fleet.freeze(sensor, now + wait);
    }

    /// Those that are within their rate again may be read.
    pub(super) fn thaw(&mut self) {
        for sensor in self.fleet.thawed(self.now.mono) {
            for generation in std::mem::take(&mut self.sensors[sensor.0].frozen) {
                self.give_credit(sensor, generation, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let rate = Rate {
            events_per_s: 10.0,
            burst: 5,
            on_excess: OnExcess::Backpressure,
        };
        let at = Duration::from_millis;
        let mut bucket = Bucket::new(&rate, at(0));
        assert_eq!(bucket.take(5, &rate, at(0)), Duration::ZERO);
        assert_eq!(bucket.take(1, &rate, at(0)), at(100));
        assert_eq!(bucket.take(1, &rate, at(100)), at(100));
        assert_eq!(bucket.take(0, &rate, at(200)), Duration::ZERO);
        // What was not used is kept, up to the burst.
        assert_eq!(bucket.take(6, &rate, at(60_000)), at(100));
    }
}
