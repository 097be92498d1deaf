//! Token bucket in the caller's time.

use crate::{
    limits::Rate,
    time::{Duration, Instant},
};

/// Grants at most a [`Rate`]. Starts full.
#[derive(Clone, Copy, Debug)]
pub struct RateLimiter {
    rate: Rate,
    /// Tokens in millionths.
    tokens: u64,
    at: Instant,
}

const TOKEN: u64 = 1_000_000;

impl RateLimiter {
    /// A full bucket.
    #[must_use]
    pub const fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: rate.burst as u64 * TOKEN, at: now }
    }

    /// Takes one grant, if there is one.
    pub fn allow(&mut self, now: Instant) -> bool {
        self.allow_many(1, now)
    }

    /// Takes `count` grants, or none if there are fewer.
    pub fn allow_many(&mut self, count: u32, now: Instant) -> bool {
        let elapsed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        // One token a second is one millionth a microsecond.
        let earned = elapsed.saturating_mul(u64::from(self.rate.per_s));
        self.tokens = self.tokens.saturating_add(earned).min(u64::from(self.rate.burst) * TOKEN);
        self.at = now;
        let price = u64::from(count) * TOKEN;
        let granted = self.tokens >= price;
        if granted {
            self.tokens -= price;
        }
        granted
    }

    /// When the next grant may be had, not before `now`.
    #[must_use]
    pub fn ready_at(&self, now: Instant) -> Instant {
        let missing = TOKEN.saturating_sub(self.tokens);
        let micros = missing.div_ceil(u64::from(self.rate.per_s).max(1));
        (self.at + Duration::from_micros(micros)).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_the_burst_then_the_rate() {
        let mut now = Instant::START;
        let mut limiter = RateLimiter::new(Rate { per_s: 10, burst: 3 }, now);
        assert_eq!((0..5).filter(|_| limiter.allow(now)).count(), 3);
        now = now + Duration::from_millis(99);
        assert!(!limiter.allow(now));
        assert_eq!(limiter.ready_at(now), now + Duration::from_millis(1));
        now = now + Duration::from_millis(1);
        assert_eq!(limiter.ready_at(now), now);
        assert!(limiter.allow(now));
        now = now + Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| limiter.allow(now)).count(), 3);
    }

    #[test]
    fn grants_several_together_or_none() {
        let mut now = Instant::START;
        let mut limiter = RateLimiter::new(Rate { per_s: 10, burst: 100 }, now);
        assert!(!limiter.allow_many(101, now) && limiter.allow_many(70, now));
        assert!(!limiter.allow_many(31, now) && limiter.allow_many(30, now));
        now = now + Duration::from_secs(2);
        assert!(!limiter.allow_many(21, now) && limiter.allow_many(20, now));
    }
}
