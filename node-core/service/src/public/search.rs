//! Looking for peers to choose: sampling, testing, choosing, with what the node knows.

use std::collections::BTreeMap;
use std::time::Duration;

use planetary_ipc::{ApiError, ErrorCode, PublicFilter};
use planetary_runtime::links::uri::{Endpoint, Host, PeerUri, Place};

use super::choice::{self, AROUND, Answered, CLOSE, Chosen, Kept};
use super::filter;
use super::list::Listed;
use super::probe::{Prober, Target, Tested};
use crate::health::Moment;
use crate::node::{Node, chain};

/// A choice, with the entry of the list that it is.
pub(super) struct Found {
    pub(super) listed: Listed,
    pub(super) chosen: Chosen,
    pub(super) round_trip: Duration,
}

/// What a search tells while it runs.
pub(super) enum Step<'a> {
    /// So many are to be tested in all.
    Total(usize),
    /// One has been.
    Tested(&'a Tested),
}

/// The public peers that may be tested: they match and can be dialled; and, if they are to be
/// `fresh`, are not in use and were not given up lately.
///
/// # Errors
/// There are none.
pub(super) fn candidates(
    node: &Node,
    filter: &PublicFilter,
    fresh: bool,
) -> Result<Vec<Listed>, ApiError> {
    let list = node.public().lists.lock().in_use(&node.public_config()).list;
    let (wanted, kept) = (node.wanted(), node.kept());
    let now = Moment::now().unix_s;
    let matching = filter::matching(&list, filter)?;
    let usable: Vec<&Listed> =
        matching.iter().filter(|peer| peer.dial.is_some()).copied().collect();
    let is_fresh = |peer: &&&Listed| {
        !wanted.keys().any(|id| id.uri == peer.name) && !kept.was_given_up(&peer.name, now)
    };
    let found: Vec<Listed> =
        usable.iter().filter(|peer| !fresh || is_fresh(peer)).map(|peer| (*peer).clone()).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let (text, hint) = match (matching.len(), usable.len()) {
        (0, _) => ("no public peer matches all of that", "leave something out"),
        (_, 0) => {
            ("every public peer that matches is behind somebody's proxy", "leave something out")
        }
        _ => (
            "every public peer that matches is in use already, or was given up within a day",
            "`planetary peer list` shows the peers of this node",
        ),
    };
    Err(ApiError::new(ErrorCode::PeerNotFound, text).with_hint(hint))
}

impl Target {
    fn of(listed: &Listed) -> Option<Self> {
        let country = Some(listed.country.clone());
        Some(Self { uri: listed.dial.clone()?, interface: None, country })
    }
}

/// Tests all of them, and chooses none.
pub(super) async fn survey(
    node: &Node,
    candidates: &[Listed],
    mut tell: impl FnMut(Step<'_>),
) -> Result<(), ApiError> {
    let prober = anonymous(node)?;
    let targets: Vec<_> = candidates.iter().filter_map(Target::of).collect();
    tell(Step::Total(targets.len()));
    prober.run(targets, node, |tested| tell(Step::Tested(&tested))).await;
    Ok(())
}

/// Tests a sample of them in two rounds, and chooses at most `count` that fit beside the peers of
/// the node, `without` not counted among these.
pub(super) async fn search(
    node: &Node,
    candidates: &[Listed],
    count: usize,
    without: Option<&str>,
    mut tell: impl FnMut(Step<'_>),
) -> Result<Vec<Found>, ApiError> {
    let prober = anonymous(node)?;
    let seed = u64::from_be_bytes(random()?);
    let all: Vec<&Listed> = candidates.iter().collect();
    let record = |name: &str| node.public().statistics.lock().of(name);
    let first = choice::around(&all, &record, seed);
    tell(Step::Total(first.len() + CLOSE.min(all.len().saturating_sub(AROUND))));
    let mut tested: BTreeMap<String, Option<Duration>> = BTreeMap::new();
    let mut answered = Vec::new();
    let mut batch = first;
    for round in 0..2 {
        let targets: Vec<_> = batch.iter().filter_map(|listed| Target::of(listed)).collect();
        prober
            .run(targets, node, |one| {
                let name = one.target.uri.to_string();
                let time = one.outcome.as_ref().ok().map(|found| found.round_trip);
                tested.insert(name.clone(), time);
                let place = one.target.uri.endpoint();
                if let Ok(found) = &one.outcome
                    && let Some((place, remote)) = place.zip(found.remote)
                {
                    answered.push(Answered {
                        transport: one.target.uri.scheme().name().to_owned(),
                        port: place.port,
                        operator: choice::operator(&place.host),
                        network: choice::network(remote.ip()),
                        key: found.peer,
                        round_trip: found.round_trip,
                        record: record(&name),
                        name,
                    });
                }
                tell(Step::Tested(&one));
            })
            .await;
        if round == 0 {
            batch = choice::close(&all, &tested, seed);
            tell(Step::Total(tested.len() + batch.len()));
        }
    }
    let chosen = choice::choose(&answered, &company(node, without), count);
    Ok(chosen.into_iter().filter_map(|chosen| found(candidates, &answered, chosen)).collect())
}

fn found(candidates: &[Listed], answered: &[Answered], chosen: Chosen) -> Option<Found> {
    let listed = candidates.iter().find(|peer| peer.name == chosen.name)?.clone();
    let round_trip = answered.iter().find(|peer| peer.name == chosen.name)?.round_trip;
    Some(Found { listed, chosen, round_trip })
}

/// The peers that the node has anyway.
fn company(node: &Node, without: Option<&str>) -> Vec<Kept> {
    let status = node.status();
    let status = status.borrow();
    let key = |name: &str| {
        let peer = status.peers.iter().find(|peer| peer.uri == name)?;
        peer.key.map(|key| planetary_proto::identity::NodeKey::from_bytes(key.0))
    };
    let wanted = node.wanted().into_iter();
    wanted
        .filter(|(id, peer)| !peer.paused && Some(id.uri.as_str()) != without)
        .filter_map(|(id, peer)| kept(&peer.uri, key(&id.uri)))
        .collect()
}

/// `None` for a peer on this computer, beside which any other brings something new.
fn kept(uri: &PeerUri, key: Option<planetary_proto::identity::NodeKey>) -> Option<Kept> {
    let Endpoint { host, port } = match uri.place() {
        Place::Proxied { destination, .. } => destination,
        place => place.endpoint()?,
    };
    let network = match host {
        Host::Address(address) => Some(choice::network(*address)),
        Host::Name(_) | Host::Scoped { .. } => None,
    };
    Some(Kept {
        transport: uri.scheme().name().to_owned(),
        port: *port,
        operator: choice::operator(host),
        network,
        key,
    })
}

fn anonymous(node: &Node) -> Result<Prober, ApiError> {
    Prober::anonymous(node, random()?)
        .map_err(|error| ApiError::new(ErrorCode::SystemRefused, chain(&error)))
}

fn random<const LEN: usize>() -> Result<[u8; LEN], ApiError> {
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes).map_err(|error| {
        ApiError::new(ErrorCode::SystemRefused, format!("no random numbers: {error}"))
    })?;
    Ok(bytes)
}
