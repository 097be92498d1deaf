//! One kind of blocking work, done on a thread of its own, waited for with a deadline, and never
//! done twice at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Finding;

/// Whether the work of one kind is still being done.
#[derive(Debug, Default)]
pub(crate) struct Errand(Arc<AtomicBool>);

/// Ends the work, also when it panics.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Errand {
    /// Does `work` if it is wanted. Work that is late goes on, and is overdue until it is done.
    pub(crate) async fn run_if<T: Send + 'static>(
        &self,
        wanted: bool,
        patience: Duration,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Finding<T> {
        if !wanted {
            return Finding::Unasked;
        }
        if self.0.swap(true, Ordering::AcqRel) {
            return Finding::Overdue;
        }
        let running = Running(Arc::clone(&self.0));
        let done = tokio::task::spawn_blocking(move || {
            let _running = running;
            work()
        });
        match tokio::time::timeout(patience, done).await {
            Ok(Ok(Ok(value))) => Finding::Known(value),
            Ok(Ok(Err(error))) => {
                tracing::debug!(%error, "the system does not tell of itself");
                Finding::Refused
            }
            // It panicked, which was told where it happened.
            Ok(Err(_)) => Finding::Refused,
            Err(_) => Finding::Overdue,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn work_that_hangs_is_overdue_and_not_begun_again_before_it_ends() {
        let errand = Errand::default();
        let (release, held) = mpsc::channel::<()>();
        let hanging = errand.run_if(true, SOON, move || Ok(held.recv().is_ok())).await;
        assert_eq!(hanging, Finding::Overdue);
        let second: Finding<()> = errand.run_if(true, LATE, || panic!("begun twice")).await;
        assert_eq!(second, Finding::Overdue);
        release.send(()).unwrap();
        while errand.run_if(true, LATE, || Ok(7)).await != Finding::Known(7) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_refusal_is_no_fact_and_what_is_not_wanted_is_not_done() {
        let errand = Errand::default();
        let refused: Finding<()> =
            errand.run_if(true, LATE, || Err(io::ErrorKind::PermissionDenied.into())).await;
        assert_eq!(refused, Finding::Refused);
        let unwanted: Finding<()> = errand.run_if(false, LATE, || panic!("done")).await;
        assert_eq!(unwanted, Finding::Unasked);
    }
}
