//! Testing several peers at a time, with a bound on how many and how long.

use std::sync::Arc;
use std::time::Duration;

use planetary_ipc::{PeerError, PeerTest, UnixTime};
use planetary_proto::identity::{Identity, NodeKey};
use planetary_runtime::links::handshake::HandshakeError;
use planetary_runtime::links::peers::PeerId;
use planetary_runtime::links::probe::{Probe, Reach, probe};
use planetary_runtime::links::tls::TlsSetupError;
use planetary_runtime::links::uri::PeerUri;
use planetary_runtime::links::{LinkEnd, LinkError, LocalEnd};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::health::Moment;
use crate::node::Node;
use crate::report::{milliseconds, plain};

/// Time for one peer. One that takes longer is none to choose, and a person is waiting.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A peer to test.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to dial.
    pub uri: PeerUri,
    /// From which interface, if that matters.
    pub interface: Option<String>,
    /// Country of a public peer.
    pub country: Option<String>,
}

/// How a peer answered.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Which.
    pub target: Target,
    /// What it answered, or why it did not.
    pub outcome: Result<Probe, PeerError>,
}

/// What tests peers in the name of somebody.
#[derive(Debug)]
pub struct Prober {
    end: LocalEnd,
    own: NodeKey,
    reach: Reach,
    places: Arc<Semaphore>,
}

impl Prober {
    /// Tests in the name of the node: for its own peers, which may let nobody else in.
    ///
    /// # Errors
    /// The certificate for TLS could not be made.
    pub fn own(node: &Node) -> Result<Self, TlsSetupError> {
        let reach = if node.public().offline { Reach::Loopback } else { Reach::Any };
        Ok(Self::new(node, node.local_end()?, reach))
    }

    /// Tests in the name of nobody, with a key made for it: a public peer that is not chosen need
    /// not learn who asked. Goes to public addresses only.
    ///
    /// # Errors
    /// The certificate for TLS could not be made.
    pub fn anonymous(node: &Node, seed: [u8; 32]) -> Result<Self, TlsSetupError> {
        let nobody = Arc::new(Identity::from_seed(&seed));
        let end = LocalEnd::new(nobody, Default::default())?;
        Ok(Self::new(node, end, node.public().reach()))
    }

    fn new(node: &Node, end: LocalEnd, reach: Reach) -> Self {
        let places = Arc::clone(&node.public().places);
        Self { end, own: node.key(), reach, places }
    }

    /// Tests all of them, at most [`super::PROBES_MAX`] at a time, and tells of each as soon as it
    /// is known. Dropping the future ends everything.
    pub async fn run(&self, targets: Vec<Target>, node: &Node, mut tell: impl FnMut(Tested)) {
        let mut running = JoinSet::new();
        for target in targets {
            let (end, own, reach) = (self.end.clone(), self.own, self.reach);
            let places = Arc::clone(&self.places);
            running.spawn(async move {
                // The semaphore is never closed.
                let _place = places.acquire_owned().await;
                try_one(end, own, reach, target).await
            });
        }
        while let Some(ended) = running.join_next().await {
            // A task of ours neither panics nor is aborted while we wait for it.
            let Ok(tested) = ended else { continue };
            note(node, &tested);
            tell(tested);
        }
    }
}

async fn try_one(end: LocalEnd, own: NodeKey, reach: Reach, target: Target) -> Tested {
    let interface = target.interface.as_deref();
    let answered = probe(&end, &target.uri, interface, reach, PATIENCE).await;
    let answered = answered.and_then(|found| match found.peer == own {
        // A key made for the test does not notice.
        true => Err(LinkError::from(HandshakeError::SelfConnection)),
        false => Ok(found),
    });
    let outcome = answered.map_err(|error| {
        let LinkEnd { code, message } = LinkEnd::from(&error);
        let at = UnixTime(Moment::now().unix_s);
        PeerError { code: code.to_owned(), message: message.into_owned(), at }
    });
    Tested { target, outcome }
}

/// Remembers how it went.
fn note(node: &Node, tested: &Tested) {
    let (name, now) = (tested.target.uri.to_string(), Moment::now());
    let mut statistics = node.public().statistics.lock();
    statistics.note(&name, 1, u64::from(tested.outcome.is_ok()), now);
    if let Ok(found) = &tested.outcome {
        statistics.note_round_trip(&name, found.round_trip, now);
    }
}

impl Target {
    /// What names it.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId::new(&self.uri, self.interface.as_deref())
    }
}

impl Tested {
    /// As clients get it.
    #[must_use]
    pub fn told(&self) -> PeerTest {
        let found = self.outcome.as_ref().ok();
        let PeerId { uri, interface } = self.target.id();
        PeerTest {
            uri,
            interface,
            country: self.target.country.clone(),
            key: found.map(|found| plain(&found.peer)),
            remote: found.and_then(|found| Some(found.remote?.ip())),
            connect_ms: found.map(|found| milliseconds(found.connect)),
            round_trip_ms: found.map(|found| milliseconds(found.round_trip)),
            error: self.outcome.as_ref().err().cloned(),
        }
    }
}
