//! How much of the usual course of things the stream shows: beyond a thousand lines a second nobody
//! reads, and to write them would cost more than what they tell of. What is not shown is counted and
//! told each second; warnings and errors are never held back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::effect::Effect;
use super::notice::{Level, Notice};
use super::step::Core;

/// Lines in a [`WINDOW`].
const MOST: u32 = 1000;

/// In which lines are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Hush {
    begun: Duration,
    shown: u32,
    /// By kind of notice.
    hidden: BTreeMap<&'static str, u64>,
}

impl Hush {
    /// Whether a line of this kind is shown; otherwise it is counted.
    pub fn admits(&mut self, kind: &'static str, now: Duration) -> bool {
        if now.saturating_sub(self.begun) >= WINDOW && self.hidden.is_empty() {
            (self.begun, self.shown) = (now, 0);
        }
        if self.shown < MOST {
            self.shown += 1;
            return true;
        }
        *self.hidden.entry(kind).or_default() += 1;
        false
    }

    /// When what is hidden is to be told.
    pub fn deadline(&self) -> Option<Duration> {
        (!self.hidden.is_empty()).then_some(self.begun + WINDOW)
    }

    /// What was hidden in a window that is over, in words; the next one begins.
    fn over(&mut self, now: Duration) -> Option<String> {
        self.deadline().filter(|end| *end <= now)?;
        (self.begun, self.shown) = (now, 0);
        let hidden = std::mem::take(&mut self.hidden).into_iter();
        let counts: Vec<_> = hidden
            .map(|(kind, count)| format!("{count} of {kind}"))
            .collect();
        Some(counts.join(", "))
    }
}

impl Core {
    pub(super) fn tell_hidden(&mut self) {
        if let Some(counts) = self.hush.over(self.now.mono) {
            let text = format!(
                "too many to be shown one by one, and not in this stream: {counts}; `petrel event \
                 list` and `petrel execution list` have them"
            );
            let notice = Notice::new(Level::Info, "stream.hidden", "", text);
            self.out.push(Effect::Notice(notice));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_a_thousand_a_second_lines_are_counted_and_told_once() {
        let mut hush = Hush::default();
        let at = Duration::from_millis;
        let shown = (0..2500).filter(|_| hush.admits("event", at(5000))).count();
        assert_eq!(shown, 1000);
        assert!(!hush.admits("rule.matched", at(5999)));
        assert_eq!(
            (hush.deadline(), hush.over(at(5999))),
            (Some(at(6000)), None)
        );
        let told = hush.over(at(6000));
        assert_eq!(told.as_deref(), Some("1500 of event, 1 of rule.matched"));
        assert!(hush.admits("event", at(6000)) && hush.deadline().is_none());
    }
}
