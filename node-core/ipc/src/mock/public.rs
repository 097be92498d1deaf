//! Public peers of the mock: a short list, and tests that answer two at a time, always the same.

use super::world::World;
use crate::error::{ApiError, ErrorCode};
use crate::identity::NodeKey;
use crate::limits;
use crate::message::{Reply, Request};
use crate::peers::{
    ListTrust, PeerChoice, PeerJob, PeerRecord, PeerTest, PublicFilter, PublicPeer, PublicPeers,
    RejectedEntry,
};
use crate::status::{PeerError, public_uri};

/// Results that come with each question.
const AT_A_TIME: usize = 2;

/// URI, region, country, and round trip in milliseconds; 0 for one that does not answer.
const LIST: [(&str, &str, &str, f64); 7] = [
    ("tls://berlin.example:443", "europe", "germany", 18.2),
    ("tls://hamburg.example:9001", "europe", "germany", 12.4),
    ("tcp://hamburg.example:9002", "europe", "germany", 12.9),
    ("socks://127.0.0.1:9050/hamburg.example:9003", "europe", "germany", 0.0),
    ("tls://frankfurt.example:443", "europe", "germany", 17.1),
    ("tls://ohio.example:12345", "north-america", "united-states", 104.5),
    ("tcp://192.0.2.130:7", "north-america", "united-states", 0.0),
];

/// The tests that were started.
#[derive(Debug, Default)]
pub(super) struct Jobs(Vec<Job>);

#[derive(Debug)]
struct Job {
    results: Vec<PeerTest>,
    /// How many of them are known.
    known: usize,
    choices: Vec<PeerChoice>,
    cancelled: bool,
}

impl World {
    /// Answers what is about public peers and tests.
    pub(super) fn public(&mut self, request: Request) -> Result<Reply, ApiError> {
        match request {
            Request::PeerPublic { filter } => {
                let peers = matching(&filter)?;
                let peers = peers.iter().map(|peer| self.public_peer(peer)).collect();
                Ok(Reply::PublicPeers(self.public_list(peers)))
            }
            Request::PeerPublicRefresh => {
                let text =
                    "the configuration names no place to fetch the list of public peers from";
                let hint = "set `url` in the section [public_peers] of the configuration, then \
                            reload the service";
                Err(ApiError::new(ErrorCode::Config, text).with_hint(hint))
            }
            Request::PeerTest { uris } => {
                let uris = if uris.is_empty() { self.uris() } else { uris };
                let results = uris.iter().map(|uri| self.test(uri, None)).collect();
                Ok(self.start(results, Vec::new()))
            }
            Request::PeerChoose { filter, best, add } => {
                let best = best.unwrap_or(limits::PEER_CHOICE_DEFAULT);
                self.choose(&filter, usize::try_from(best).unwrap_or(usize::MAX), add)
            }
            Request::PeerJob { job, seen } => self.job(job, seen, false),
            Request::PeerJobCancel { job, seen } => self.job(job, seen, true),
            _ => Err(ApiError::new(ErrorCode::Internal, "this is not about public peers")),
        }
    }

    fn public_peer(&self, (uri, region, country, ms): &(&str, &str, &str, f64)) -> PublicPeer {
        let transport = uri.split(':').next().unwrap_or_default().to_owned();
        let known = *ms > 0.0 && *ms < 15.0;
        PublicPeer {
            uri: (*uri).to_owned(),
            region: (*region).to_owned(),
            country: (*country).to_owned(),
            usable: transport != "socks",
            in_use: self.uris().iter().any(|other| public_uri(other) == *uri),
            record: known.then(|| PeerRecord {
                tries: 9,
                answers: 9,
                best_ms: Some(*ms),
                median_ms: Some(ms + 1.0),
                last_good: Some(self.now()),
            }),
            transport,
        }
    }

    fn public_list(&self, peers: Vec<PublicPeer>) -> PublicPeers {
        PublicPeers {
            time: self.now(),
            source: "made up for the mock".to_owned(),
            date: "2025-12-01".to_owned(),
            age_days: 31,
            trust: ListTrust::Shipped,
            fetched_at: None,
            refreshable: false,
            refresh_error: None,
            total: LIST.len() as u64,
            peers,
            rejected_total: 1,
            rejected: vec![RejectedEntry {
                entry: 5,
                reason: "carrier-pigeon://coop.example:1: unknown scheme carrier-pigeon".to_owned(),
            }],
        }
    }

    fn test(&self, uri: &str, country: Option<&str>) -> PeerTest {
        let uri = public_uri(uri);
        let listed = LIST.iter().find(|(other, ..)| *other == uri).map(|(.., ms)| *ms);
        let own = self.latency_of(&uri);
        let round_trip = own.or(listed).filter(|ms| *ms > 0.0);
        let number = uri.bytes().map(u64::from).sum::<u64>();
        PeerTest {
            interface: None,
            country: country.map(str::to_owned),
            key: round_trip.map(|_| made_up_key(number)),
            remote: round_trip.map(|_| std::net::Ipv4Addr::new(192, 0, 2, 9).into()),
            connect_ms: round_trip.map(|ms| ms * 2.0),
            round_trip_ms: round_trip,
            error: round_trip.is_none().then(|| PeerError {
                code: "dial_timeout".to_owned(),
                message: format!("{} did not answer in time", uri.rsplit('/').next().unwrap_or("")),
                at: self.now(),
            }),
            uri,
        }
    }

    fn choose(&mut self, filter: &PublicFilter, best: usize, add: bool) -> Result<Reply, ApiError> {
        let mut peers = matching(filter)?;
        peers.retain(|peer| {
            let peer = self.public_peer(peer);
            peer.usable && (best == 0 || !peer.in_use)
        });
        if peers.is_empty() {
            let text = "no public peer matches all of that";
            let error = ApiError::new(ErrorCode::PeerNotFound, text);
            return Err(error.with_hint("leave something out"));
        }
        let results: Vec<_> =
            peers.iter().map(|(uri, _, country, _)| self.test(uri, Some(country))).collect();
        let mut hosts: Vec<&str> = Vec::new();
        let mut choices = Vec::new();
        for (uri, region, country, ms) in peers.iter().filter(|(.., ms)| *ms > 0.0) {
            let host = uri.split(['/', ':']).nth(3).unwrap_or_default();
            if choices.len() == best || hosts.contains(&host) {
                continue;
            }
            hosts.push(host);
            let entry = if add { Some(self.add_chosen(uri)?) } else { None };
            choices.push(PeerChoice {
                uri: (*uri).to_owned(),
                region: (*region).to_owned(),
                country: (*country).to_owned(),
                round_trip_ms: *ms,
                reason: match uri.ends_with(":443") {
                    true => format!(
                        "near: {ms:.0} ms; tls on port 443, which most networks let through"
                    ),
                    false => {
                        format!("near: {ms:.0} ms; another operator and network than the others")
                    }
                },
                added: entry,
            });
        }
        Ok(self.start(results, choices))
    }

    fn start(&mut self, results: Vec<PeerTest>, choices: Vec<PeerChoice>) -> Reply {
        self.jobs.0.push(Job { results, known: 0, choices, cancelled: false });
        Reply::PeerJob(
            self.jobs
                .0
                .last()
                .map_or_else(Job::nothing, |job| job.report(self.jobs.0.len() as u64, 0)),
        )
    }

    fn job(&mut self, number: u64, seen: u64, cancel: bool) -> Result<Reply, ApiError> {
        let place = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let job = self.jobs.0.get_mut(place).ok_or_else(|| {
            ApiError::new(ErrorCode::InvalidRequest, format!("there is no job {number}"))
        })?;
        if cancel {
            job.cancelled |= job.known < job.results.len();
            job.results.truncate(job.known);
        }
        job.known = (job.known + AT_A_TIME).min(job.results.len());
        Ok(Reply::PeerJob(job.report(number, seen)))
    }
}

impl Job {
    fn report(&self, number: u64, seen: u64) -> PeerJob {
        let seen = usize::try_from(seen).unwrap_or(usize::MAX).min(self.known);
        let done = self.known == self.results.len();
        let choices = if done && !self.cancelled { self.choices.clone() } else { Vec::new() };
        PeerJob {
            job: number,
            done,
            cancelled: self.cancelled,
            total: self.results.len() as u64,
            tested: self.known as u64,
            results: self.results[seen..self.known].to_vec(),
            choices,
            error: None,
        }
    }

    fn nothing() -> PeerJob {
        Self { results: Vec::new(), known: 0, choices: Vec::new(), cancelled: false }.report(0, 0)
    }
}

/// The entries for which everything in the filter holds.
fn matching(
    filter: &PublicFilter,
) -> Result<Vec<&'static (&'static str, &'static str, &'static str, f64)>, ApiError> {
    let form =
        |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase().replace(' ', "-"));
    let (country, region) = (form(&filter.country), form(&filter.region));
    if let Some(country) = &country
        && !LIST.iter().any(|(_, _, other, _)| other == country)
    {
        let text = format!("the list of public peers has no country \"{country}\"");
        let error = ApiError::new(ErrorCode::PeerNotFound, text);
        return Err(error.with_hint("it has germany, united-states"));
    }
    let fits = |(uri, in_region, in_country, _): &&(&str, &str, &str, f64)| {
        let transport = uri.split(':').next().unwrap_or_default();
        let searched = filter.search.as_ref().is_none_or(|text| {
            [uri, in_region, in_country].iter().any(|part| part.contains(text.as_str()))
        });
        country.as_ref().is_none_or(|country| country == in_country)
            && region.as_ref().is_none_or(|region| region == in_region)
            && (filter.transports.is_empty() || filter.transports.iter().any(|t| t == transport))
            && searched
    };
    Ok(LIST.iter().filter(fits).collect())
}

fn made_up_key(number: u64) -> NodeKey {
    super::world::made_up_key(0x1000 + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_tells_two_results_at_a_time_and_then_its_choices() {
        let mut world = World::new();
        let filter = PublicFilter::default();
        let best = Some(2);
        let reply = world.public(Request::PeerChoose { filter, best, add: true }).unwrap();
        let Reply::PeerJob(mut job) = reply else { panic!("{reply:?}") };
        let mut seen = 0;
        while !job.done {
            let request = Request::PeerJob { job: job.job, seen };
            let Ok(Reply::PeerJob(next)) = world.public(request) else { panic!("no job") };
            assert!(next.results.len() <= AT_A_TIME);
            seen += next.results.len() as u64;
            job = next;
        }
        assert_eq!((job.choices.len(), job.tested), (2, job.total));
        assert!(job.choices.iter().all(|choice| choice.added.is_some()));
        assert!(world.status().peers.iter().any(|peer| peer.uri == job.choices[0].uri));
    }
}
