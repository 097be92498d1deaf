//! Lasting conditions a person should know about, kept from the moment they begin to the moment
//! they end.
//!
//! Whoever notices a condition raises it under its stable code and clears it when it is over;
//! raising it again changes its words but not its age. What is only a blip stays quiet: a condition
//! that may pass by itself is shown once it has lasted for [`SHOW_DELAY`], one that cannot is shown
//! at once. The list that command line and app render is [`Health::visible`], and nothing else
//! invents items.
//!
//! The store knows no clock: the caller says what time it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use planetary_ipc::{HealthItem, Severity, UnixTime};

/// How long a condition that may pass by itself must last to be shown: longer than a reconnect over
/// Wi-Fi takes, shorter than a person waits before asking what is wrong.
pub const SHOW_DELAY: Duration = Duration::from_secs(5);

/// A condition, in the words a person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Stable name in snake case; programs match it.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// A few words.
    pub title: String,
    /// What is so and why, in plain sentences.
    pub text: String,
    /// The one thing to do about it, if there is one.
    pub action: Option<String>,
    /// Whether traffic suffers from it.
    pub affects_connectivity: bool,
    /// Whether it may pass by itself within moments.
    pub may_pass: bool,
}

/// A point in time on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// For durations.
    pub mono: Instant,
    /// For people.
    pub unix_s: u64,
}

/// The conditions that hold.
#[derive(Debug, Default)]
pub struct Health {
    held: BTreeMap<&'static str, Held>,
}

#[derive(Debug)]
struct Held {
    condition: Condition,
    since: Moment,
}

impl Moment {
    /// Reads both clocks. A wall clock before 1970 counts as 1970.
    #[must_use]
    pub fn now() -> Self {
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self { mono: Instant::now(), unix_s: unix.map_or(0, |since| since.as_secs()) }
    }
}

impl Health {
    /// Says that a condition holds.
    pub fn raise(&mut self, condition: Condition, now: Moment) {
        let since = self.held.get(condition.code).map_or(now, |held| held.since);
        self.held.insert(condition.code, Held { condition, since });
    }

    /// Says that a condition no longer holds.
    pub fn clear(&mut self, code: &str) {
        self.held.remove(code);
    }

    /// Returns what is to be shown: the worst first, then the oldest.
    #[must_use]
    pub fn visible(&self, now: Moment) -> Vec<HealthItem> {
        let mut shown: Vec<_> =
            self.held.values().filter(|held| held.shown_at() <= now.mono).collect();
        shown.sort_by_key(|held| (std::cmp::Reverse(held.condition.severity), held.since.mono));
        shown.into_iter().map(Held::item).collect()
    }
}

impl Condition {
    /// What is shown of it.
    #[must_use]
    pub fn item(self, since: Option<UnixTime>) -> HealthItem {
        let Self { code, severity, title, text, action, affects_connectivity, .. } = self;
        let code = Cow::Borrowed(code);
        HealthItem { code, title, severity, text, since, affects_connectivity, action }
    }
}

impl Held {
    fn shown_at(&self) -> Instant {
        let delay = if self.condition.may_pass { SHOW_DELAY } else { Duration::ZERO };
        self.since.mono + delay
    }

    fn item(&self) -> HealthItem {
        self.condition.clone().item(Some(UnixTime(self.since.unix_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(code: &'static str, severity: Severity, may_pass: bool) -> Condition {
        Condition {
            code,
            severity,
            title: "Title".to_owned(),
            text: "Text.".to_owned(),
            action: None,
            affects_connectivity: true,
            may_pass,
        }
    }

    fn codes(health: &Health, now: Moment) -> Vec<String> {
        health.visible(now).into_iter().map(|item| item.code.into_owned()).collect()
    }

    fn later(moment: Moment, seconds: u64) -> Moment {
        Moment { mono: moment.mono + Duration::from_secs(seconds), unix_s: moment.unix_s + seconds }
    }

    #[test]
    fn blip_is_never_shown_and_what_lasts_is_shown_with_its_real_age() {
        let start = Moment::now();
        let mut health = Health::default();
        health.raise(condition("no_peers", Severity::Error, true), start);
        assert!(codes(&health, later(start, 4)).is_empty());
        health.clear("no_peers");
        assert!(codes(&health, later(start, 60)).is_empty());

        health.raise(condition("no_peers", Severity::Error, true), start);
        health.raise(condition("no_peers", Severity::Error, true), later(start, 4));
        let shown = health.visible(later(start, 5));
        assert_eq!(shown[0].since, Some(UnixTime(start.unix_s)));
    }

    #[test]
    fn what_cannot_pass_is_shown_at_once_and_the_worst_comes_first() {
        let start = Moment::now();
        let mut health = Health::default();
        health.raise(condition("old_warning", Severity::Warning, false), start);
        health.raise(condition("new_error", Severity::Error, false), later(start, 2));
        health.raise(condition("newer_error", Severity::Error, false), later(start, 3));
        assert_eq!(codes(&health, later(start, 3)), ["new_error", "newer_error", "old_warning"]);
    }
}
