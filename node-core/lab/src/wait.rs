//! Waiting for a condition, with a deadline and a name for what is waited for.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// A point in time after which waiting is given up.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// A deadline so many seconds from now.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self { start: Instant::now(), limit: Duration::from_secs(seconds) }
    }

    /// The time that is left, zero when it is over.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    /// Whether the time is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// The time waited so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Looks at a condition again and again until it yields a value.
///
/// # Errors
/// When the deadline passes first; the text names `what` and the last reason that the condition
/// gave.
pub fn until<T>(
    what: &str,
    deadline: Deadline,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    loop {
        let outcome = condition();
        if let Ok(Some(value)) = outcome {
            return Ok(value);
        }
        if deadline.is_over() {
            let seconds = deadline.elapsed().as_secs_f64();
            match outcome {
                Err(error) => bail!("after {seconds:.1} s, still waiting for {what}: {error:#}"),
                Ok(_) => bail!("after {seconds:.1} s, still waiting for {what}"),
            }
        }
        std::thread::sleep(INTERVAL.min(deadline.left()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_becomes_true_ends_the_wait() {
        let mut looks = 0;
        let value = until("three looks", Deadline::seconds(10), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(value.expect("reached"), 3);
    }

    #[test]
    fn a_deadline_names_what_was_waited_for_and_why_it_failed() {
        let error = until("rain", Deadline::seconds(0), || -> Result<Option<()>> {
            bail!("no cloud in sight")
        });
        let text = error.expect_err("cannot happen").to_string();
        assert!(text.contains("rain") && text.contains("no cloud in sight"), "{text}");
    }
}
