//! Time as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since 1970 UTC: for people and for the disk, never for a delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

impl Wall {
    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// As RFC 3339 with microseconds and `Z`, the form of StackStorm's API.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_microsecond(self.0)
            .map(|at| format!("{at:.6}"))
            .unwrap_or_default()
    }

    /// From seconds since 1970, as `exit.json` has them.
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e6) as i64)
    }

    /// So much later.
    pub fn after(self, time: Duration) -> Self {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Time since `earlier`; zero where the clock was set back in between.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

/// The moment of an input: `mono` for every decision, `wall` for display and records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Since the supervisor started; never goes back.
    pub mono: Duration,
    /// The calendar.
    pub wall: Wall,
}

/// A [`Wall`] in a file that people read, too.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Wall;

    /// As [`Wall::rfc3339`].
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Wall, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.rfc3339())
    }

    /// From RFC 3339.
    ///
    /// # Errors
    /// When it is something else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Wall, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Wall(at.as_microsecond()))
    }
}
