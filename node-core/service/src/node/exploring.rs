//! Asking another node about itself.
//!
//! ```text
//! wait for a turn -> find the node -> node info, self (asked twice if need be) -> links, tree
//! ```

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use planetary_ipc::{Explored, UnixTime};
use planetary_proto::identity::NodeKey;
use planetary_proto::upper::{InbandAnswer, InbandKind};
use planetary_runtime::{AskError, Engine};
use tokio::time::{self, timeout};

use super::Node;
use crate::explore::{Learnt, Memory, read};
use crate::health::Moment;
use crate::report::{address, milliseconds, plain};

/// Time between two nodes that are asked.
const PACE: Duration = Duration::from_secs(1);

/// How long a wish may wait for its turn.
const TURN_PATIENCE: Duration = Duration::from_secs(3);

/// How long the node is looked for.
const FIND_PATIENCE: Duration = Duration::from_secs(5);

/// How long one question may take. There is no retransmission, so the first, which also opens the
/// session, is asked twice.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Most nodes whose place another is said to know: what fits into the answer.
const TREE_MAX: usize = 2_047;

/// Whose turn it is, and what was learnt.
#[derive(Debug, Default)]
pub(super) struct Exploring {
    /// When the last node was asked.
    turn: tokio::sync::Mutex<Option<time::Instant>>,
    memory: Mutex<Memory>,
}

/// Why a node was not explored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExploreError {
    /// Others are to be explored before it.
    #[error("one node a second is explored, and others come first")]
    Busy,
    /// Nothing passes to or from the key.
    #[error("{0} is blocked")]
    Blocked(NodeKey),
    /// It was not found.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl Node {
    /// Asks a node about itself and remembers what it says.
    ///
    /// # Errors
    /// [`ExploreError`]; a node that is there and says nothing is none.
    pub async fn explore(&self, engine: &Engine, key: NodeKey) -> Result<Explored, ExploreError> {
        if self.friends.lock().blocks(&key) {
            return Err(ExploreError::Blocked(key));
        }
        self.exploring.take_turn().await?;
        engine.find_key(key, FIND_PATIENCE).await?;
        let mut explored = silent(key);
        let (own, info) = tokio::join!(
            ask_twice(engine, key, InbandKind::GetSelf),
            ask_twice(engine, key, InbandKind::NodeInfo)
        );
        if let Some(InbandAnswer::NodeInfo(text)) = &info {
            let info = read::node_info(text);
            explored.name = info.name;
            explored.program = info.program;
            explored.system = info.system;
        }
        if let Some(InbandAnswer::GetSelf(text)) = &own {
            explored.routing_entries = read::routing_entries(text);
        }
        explored.answered = own.is_some() || info.is_some();
        if !explored.answered {
            return Ok(explored);
        }
        let began = Instant::now();
        let ((peers, took), tree) = tokio::join!(
            async { (ask(engine, key, InbandKind::GetPeers).await, began.elapsed()) },
            ask(engine, key, InbandKind::GetTree)
        );
        let mut learnt = Learnt { at: Moment::now().mono, round_trip: None, peers: Vec::new() };
        if let Some(InbandAnswer::GetPeers(said)) = peers {
            learnt.round_trip = Some(took);
            learnt.peers = read::keys(&key, &said, read::PEERS_MAX);
            explored.round_trip_ms = Some(milliseconds(took));
            explored.peers = Some(learnt.peers.iter().map(plain).collect());
        }
        if let Some(InbandAnswer::GetTree(said)) = tree {
            let keys = read::keys(&key, &said, TREE_MAX);
            explored.tree = Some(keys.iter().map(plain).collect());
        }
        if key != self.key() {
            self.exploring.memory.lock().keep(key, learnt);
            self.news.notify_one();
        }
        Ok(explored)
    }

    /// What was learnt lately, looked at under its lock.
    pub fn with_explored<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        let mut memory = self.exploring.memory.lock();
        memory.forget_old(Moment::now().mono);
        look(&memory)
    }
}

impl Exploring {
    async fn take_turn(&self) -> Result<(), ExploreError> {
        let waiting = timeout(TURN_PATIENCE, self.turn.lock()).await;
        let mut last = waiting.map_err(|_| ExploreError::Busy)?;
        if let Some(last) = *last {
            time::sleep_until(last + PACE).await;
        }
        *last = Some(time::Instant::now());
        Ok(())
    }
}

/// A node that has said nothing yet.
fn silent(key: NodeKey) -> Explored {
    Explored {
        time: UnixTime(Moment::now().unix_s),
        key: plain(&key),
        address: address(&key),
        answered: false,
        name: None,
        program: None,
        system: None,
        routing_entries: None,
        round_trip_ms: None,
        peers: None,
        tree: None,
    }
}

async fn ask_twice(engine: &Engine, key: NodeKey, kind: InbandKind) -> Option<InbandAnswer> {
    match ask(engine, key, kind).await {
        None => ask(engine, key, kind).await,
        answer => answer,
    }
}

async fn ask(engine: &Engine, key: NodeKey, kind: InbandKind) -> Option<InbandAnswer> {
    timeout(ANSWER_PATIENCE, engine.ask(key, kind)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_node_a_second_and_whoever_waits_too_long_is_told() {
        let exploring = Arc::new(Exploring::default());
        let began = time::Instant::now();
        let mut turns = JoinSet::new();
        for _ in 0..6 {
            let exploring = Arc::clone(&exploring);
            turns.spawn(async move { exploring.take_turn().await.map(|()| began.elapsed()) });
        }
        let (mut granted, mut refused) = (Vec::new(), 0);
        while let Some(turn) = turns.join_next().await {
            match turn.unwrap() {
                Ok(after) => granted.push(after),
                Err(_) => refused += 1,
            }
        }
        granted.sort_unstable();
        let paced = granted.windows(2).all(|pair| pair[1] - pair[0] >= PACE);
        assert!(paced && granted[0] < PACE, "{granted:?}");
        assert!((4..=5).contains(&granted.len()) && refused + granted.len() == 6, "{granted:?}");
    }
}
