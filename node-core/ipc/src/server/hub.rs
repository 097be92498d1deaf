//! Finds out what changed between one state and the next, once for all clients.
//!
//! The hub holds the latest state and a bounded ring of events. A subscriber gets both in one step,
//! so that no change falls between them. Events are dropped for a subscriber that lags; the ring
//! tells it so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio::time;

use crate::limits;
use crate::message::Event;
use crate::status::Status;

pub(super) struct Hub {
    /// The service's own word.
    source: watch::Receiver<Arc<Status>>,
    /// The state that all events so far lead to.
    latest: Mutex<Arc<Status>>,
    events: broadcast::Sender<Arc<Event>>,
}

impl Hub {
    pub(super) fn new(source: watch::Receiver<Arc<Status>>) -> Self {
        let latest = Mutex::new(Arc::clone(&source.borrow()));
        let (events, _) = broadcast::channel(limits::UPDATES_WAITING_MAX);
        Self { source, latest, events }
    }

    /// Follows the service's state until the service drops it.
    pub(super) async fn run(self: Arc<Self>) {
        let mut source = self.source.clone();
        // The first state may have been replaced before this task came to run.
        source.mark_changed();
        while source.changed().await.is_ok() {
            drop(self.catch_up());
            time::sleep(limits::UPDATE_INTERVAL_MIN).await;
        }
    }

    /// The state of this moment, so that whoever changed something reads its own change.
    pub(super) fn status(&self) -> Arc<Status> {
        Arc::clone(&self.catch_up())
    }

    /// The state of this moment, and all events after it.
    pub(super) fn subscribe(&self) -> (Arc<Status>, broadcast::Receiver<Arc<Event>>) {
        let latest = self.catch_up();
        (Arc::clone(&latest), self.events.subscribe())
    }

    /// Sends what changed since the last time; the lock keeps state and events together.
    fn catch_up(&self) -> MutexGuard<'_, Arc<Status>> {
        // The value is replaced in one assignment, so it is whole even after a panic elsewhere.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = Arc::clone(&self.source.borrow());
        if !Arc::ptr_eq(&latest, &newest) {
            for event in differences(&latest, &newest) {
                // Nobody listening is no failure.
                let _ = self.events.send(Arc::new(event));
            }
            *latest = newest;
        }
        latest
    }
}

/// The events that bring a client from `old` to `new`.
fn differences(old: &Status, new: &Status) -> Vec<Event> {
    let mut events = Vec::new();
    if !old.same_apart_from_traffic(new) {
        events.push(Event::Status(Box::new(new.clone())));
    } else if old.traffic() != new.traffic() {
        events.push(Event::Traffic(new.traffic()));
    }
    if old.topology_revision != new.topology_revision {
        events.push(Event::Topology { revision: new.topology_revision });
    }
    if old.friends_revision != new.friends_revision {
        events.push(Event::Friends { revision: new.friends_revision });
    }
    if old.circles_revision != new.circles_revision {
        events.push(Event::Circles { revision: new.circles_revision });
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::Mock;
    use crate::status::State;

    #[test]
    fn counters_make_traffic_and_the_rest_makes_a_status() {
        let old = Mock::settled().status();
        assert_eq!(differences(&old, &old), []);

        let mut busier = old.clone();
        busier.rx_bytes += 1;
        busier.peers[0].latency_ms = Some(1.0);
        assert_eq!(differences(&old, &busier), [Event::Traffic(busier.traffic())]);

        let mut other = busier.clone();
        other.state = State::Offline;
        other.topology_revision += 1;
        let expected = [
            Event::Status(Box::new(other.clone())),
            Event::Topology { revision: other.topology_revision },
        ];
        assert_eq!(differences(&old, &other), expected);
    }

    #[test]
    fn friend_that_comes_online_makes_an_event_of_its_own() {
        let old = Mock::settled().status();
        let mut newer = old.clone();
        newer.friends_revision += 1;
        let expected = [Event::Friends { revision: newer.friends_revision }];
        assert_eq!(differences(&old, &newer), expected);
    }

    #[test]
    fn peer_that_comes_or_goes_makes_a_status() {
        let old = Mock::settled().status();
        let mut fewer = old.clone();
        fewer.peers.remove(0);
        assert!(matches!(differences(&old, &fewer)[..], [Event::Status(_)]));
        assert!(matches!(differences(&fewer, &old)[..], [Event::Status(_)]));
    }
}
