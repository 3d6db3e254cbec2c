//! How much room there is, how much there should be, and what is given back to the disk.

use super::{Change, Chore, Keeper, LOOK_EVERY, PAGES, RESERVE, RESERVE_BYTES, SLACK, Space};
use crate::catalog::knobs::units::about_bytes;

impl Keeper {
    /// More is used than may be, or less is free than should be.
    pub(super) fn is_pressed(&self) -> bool {
        let Some(space) = self.space else {
            return false;
        };
        let most = match &self.dam {
            Some(_) => self.settings.size.map(with_slack),
            None => self.settings.size,
        };
        most.is_some_and(|most| space.used > most) || self.missing(&space) > 0
    }

    /// Bytes that the disk lacks beyond what free pages will give back.
    fn missing(&self, space: &Space) -> u64 {
        let wanted = self.settings.free.of(space.disk);
        let can_give = if space.can_shrink { space.free } else { 0 };
        wanted.saturating_sub(space.disk_free + can_give)
    }

    /// Told once, until it has its room again.
    pub(super) fn told_of_disk(&mut self) -> Option<Change> {
        let space = self.space?;
        let wanted = self.settings.free.of(space.disk);
        let lacks = space.disk_free < wanted && self.missing(&space) > 0;
        let before = std::mem::replace(&mut self.told_of_disk, lacks);
        let text = format!(
            "{} are free on the journal's disk, and {} are to be left free \
             (journal.retention.free): what is settled is removed before its time",
            about_bytes(space.disk_free),
            about_bytes(wanted)
        );
        (lacks && !before).then_some(Change::Poor(text))
    }

    /// What may be used once there is room again.
    pub(super) fn wanted(&self) -> u64 {
        let space = self.space.unwrap_or_default();
        let by_disk = match self.missing(&space) {
            0 => u64::MAX,
            missing => space.used.saturating_sub(missing),
        };
        self.settings.size.map_or(u64::MAX, with_slack).min(by_disk)
    }

    /// Sensors that wait may go on.
    pub(super) fn is_open(&self) -> bool {
        let space = self.space.unwrap_or_default();
        self.settings
            .size
            .is_none_or(|size| space.used <= with_slack(size))
    }

    pub(super) fn is_relieved(&self) -> bool {
        self.space.is_some_and(|space| space.used <= self.goal)
    }

    /// Between passes.
    pub(super) fn tidy(&mut self) -> Option<Chore> {
        let Some(space) = self.space else {
            return Some(Chore::Measure);
        };
        if self.wants_to_shrink(&space) {
            return Some(Chore::Shrink { pages: PAGES });
        }
        if !self.compacting.is_empty() {
            return Some(Chore::Measure);
        }
        let part = self.settings.size.map_or(u64::MAX, |size| size / 64);
        let every = part.clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        (self.written >= every).then_some(Chore::Measure)
    }

    fn wants_to_shrink(&mut self, space: &Space) -> bool {
        let wanted = self.settings.free.of(space.disk);
        let reserve = match self.settings.size {
            _ if !self.compacting.is_empty() || space.disk_free < wanted => 0,
            Some(size) => size / RESERVE,
            None => RESERVE_BYTES,
        };
        let enough = if self.shrinking { reserve / 2 } else { reserve };
        self.shrinking = space.can_shrink && space.free > enough;
        self.shrinking
    }

    /// Somebody wants the file to be as small as it can be.
    pub fn compact(&mut self, ask: u64) -> Result<(), String> {
        let space = self.space.unwrap_or_default();
        if self.space.is_some() && !space.can_shrink {
            return Err(
                "this journal was made by an earlier petrel and cannot give room back while it is \
                 written to: stop petrel, and run `petrel journal compact` once more; from then on \
                 it can"
                    .to_owned(),
            );
        }
        self.compacting.push((ask, space.free));
        Ok(())
    }

    pub(super) fn compacted(&mut self) -> Vec<Change> {
        let small = self
            .space
            .is_some_and(|space| space.free == 0 || !space.can_shrink);
        let done = match small {
            true => std::mem::take(&mut self.compacting),
            false => Vec::new(),
        };
        let each = done.into_iter();
        each.map(|(ask, bytes)| Change::Compact(ask, bytes))
            .collect()
    }
}

fn with_slack(size: u64) -> u64 {
    size - size / SLACK
}
