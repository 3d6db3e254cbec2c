//! What becomes of an event, by what came of it.

use super::Remove;
use crate::core::clock::Wall;
use crate::core::record::Status;

/// See the module. The worst of all that came of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may go, with all of it.
    Goes,
    /// Something of it was over at this time, which is not long enough ago.
    Young(Wall),
    /// Something of it failed at this time, which is not long enough ago.
    Failed(Wall),
    /// Something of it is not over.
    Waits,
}

impl Fate {
    /// Of that to which these executions belong: how each stands, and when it was over.
    pub fn of(executions: impl Iterator<Item = (Status, Option<Wall>)>, order: &Remove) -> Self {
        let mut fate = Self::Goes;
        for (status, ended) in executions {
            fate = fate.with(Self::of_one(status, ended.unwrap_or_default(), order));
        }
        fate
    }

    fn of_one(status: Status, ended: Wall, order: &Remove) -> Self {
        let failed = matches!(status, Status::Failed | Status::Timeout | Status::Abandoned);
        match failed {
            _ if !status.is_final() => Self::Waits,
            true if ended >= order.failed_before => Self::Failed(ended),
            false if ended >= order.before => Self::Young(ended),
            _ => Self::Goes,
        }
    }

    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Waits, _) | (_, Self::Waits) => Self::Waits,
            (Self::Failed(one), Self::Failed(other)) => Self::Failed(one.max(other)),
            (Self::Failed(at), _) | (_, Self::Failed(at)) => Self::Failed(at),
            (Self::Young(one), Self::Young(other)) => Self::Young(one.max(other)),
            (Self::Young(at), _) | (_, Self::Young(at)) => Self::Young(at),
            (Self::Goes, Self::Goes) => Self::Goes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::retention::FRONT;

    fn fate(all: &[(Status, i64)]) -> Fate {
        let order = Remove {
            from: FRONT,
            now: Wall(200),
            before: Wall(100),
            failed_before: Wall(50),
            rule_set: String::new(),
        };
        let each = all.iter().map(|(status, at)| (*status, Some(Wall(*at))));
        Fate::of(each, &order)
    }

    #[test]
    fn the_worst_counts() {
        use Status::{
            Abandoned, Canceled, Delayed, Failed, Requested, Running, Succeeded, Timeout,
        };
        assert_eq!(fate(&[]), Fate::Goes);
        assert_eq!(
            fate(&[(Succeeded, 99), (Canceled, 0), (Failed, 49)]),
            Fate::Goes
        );
        assert_eq!(
            fate(&[(Succeeded, 100), (Succeeded, 120)]),
            Fate::Young(Wall(120))
        );
        for failed in [Failed, Timeout, Abandoned] {
            assert_eq!(
                fate(&[(Succeeded, 150), (failed, 50)]),
                Fate::Failed(Wall(50))
            );
        }
        for open in [Requested, Delayed, Running] {
            assert_eq!(fate(&[(Failed, 60), (open, 0)]), Fate::Waits);
        }
    }
}
