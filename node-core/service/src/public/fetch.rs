//! Downloading small files (a list of public peers, the newest version) by a privileged program,
//! from a place that only the configuration file names, or whoever built the program.
//!
//! Whatever answers is a stranger: size, time and redirects are bounded, and every address that a
//! name or a redirect leads to is checked before it is connected to, so that nobody can use the
//! service to reach what only this computer reaches. Without a key to check a signature with, only
//! `https` and public addresses will do. The overlay itself is never a place for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use planetary_runtime::links::probe::Reach;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

/// Time for one download, from the lookup of the name to the last byte.
const TIME_MAX: Duration = Duration::from_secs(30);

/// Redirects that are followed. One or two are usual: a host name that moved, a file store.
const REDIRECTS_MAX: u32 = 3;

/// Downloads from `url` what is at most `len_max` bytes. Blocks.
///
/// # Errors
/// What went wrong, in words.
pub(crate) fn download(
    url: &str,
    len_max: usize,
    secure_only: bool,
    reach: Reach,
) -> Result<Vec<u8>, String> {
    let config = Agent::config_builder()
        .https_only(secure_only)
        .max_redirects(REDIRECTS_MAX)
        .timeout_global(Some(TIME_MAX))
        // A proxy of the environment would go where nothing is checked.
        .proxy(None)
        // Nobody needs to know more.
        .user_agent("planetaryd")
        .max_idle_connections(0)
        .build();
    let resolver = Guard { inner: DefaultResolver::default(), reach };
    let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
    let mut response = agent.get(url).call().map_err(|error| in_words(&error))?;
    let limit = u64::try_from(len_max).unwrap_or(u64::MAX);
    let body = response.body_mut().with_config().limit(limit).read_to_vec();
    body.map_err(|error| in_words(&error))
}

fn in_words(error: &Error) -> String {
    match error {
        Error::StatusCode(404) => "the server does not have it (status 404)".to_owned(),
        Error::StatusCode(code) => format!("the server answered with the status {code}"),
        Error::HostNotFound => "the name of the server is not known".to_owned(),
        Error::Timeout(_) => format!("it took longer than {} s", TIME_MAX.as_secs()),
        Error::BodyExceedsLimit(most) => format!("it is longer than {most} bytes"),
        Error::TooManyRedirects => format!("the server redirects more than {REDIRECTS_MAX} times"),
        Error::RequireHttpsOnly(_) => "it must be https, redirects included".to_owned(),
        Error::Io(error) => error.to_string(),
        Error::Other(error) => error.to_string(),
        other => crate::config::printable(&other.to_string()),
    }
}

/// Looks up names, and keeps the addresses that may be connected to.
#[derive(Debug)]
struct Guard {
    inner: DefaultResolver,
    reach: Reach,
}

/// A name or a redirect leads where it must not.
#[derive(Debug, thiserror::Error)]
#[error("the server is at {0}, which is no address of the public internet")]
struct Forbidden(SocketAddr);

/// Nobody outside of this computer is to be talked to.
#[derive(Debug, thiserror::Error)]
#[error("PLANETARY_OFFLINE is set, so nothing outside this computer is asked")]
struct Offline;

impl Resolver for Guard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or("");
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if self.reach == Reach::Loopback && !literal && host != "localhost" {
            // Not even a question leaves this computer.
            return Err(Error::Other(Box::new(Offline)));
        }
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        for address in found.iter().filter(|address| self.reach.admits(address.ip())) {
            kept.push(*address);
        }
        match (kept.is_empty(), found.first()) {
            (true, Some(address)) => Err(Error::Other(Box::new(Forbidden(*address)))),
            (true, None) => Err(Error::HostNotFound),
            (false, _) => Ok(kept),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A web server of one thread, which answers each path with what `answer` gives: a status line,
    /// headers, and the body.
    pub(crate) fn serve(
        answer: impl Fn(&str) -> Option<(String, Vec<u8>)> + Send + 'static,
    ) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(first)) = lines.next() else { continue };
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
                if let Some((head, body)) = answer(&path) {
                    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
                    let _ = stream.write_all(head.as_bytes());
                    let _ = stream.write_all(&body);
                }
            }
        });
        format!("http://{address}")
    }

    fn ok(body: &[u8]) -> Option<(String, Vec<u8>)> {
        Some((format!("200 OK\r\ncontent-length: {}", body.len()), body.to_vec()))
    }

    #[test]
    fn small_file_is_fetched_over_redirects() {
        let server = serve(|path| match path {
            "/a" => Some(("302 Found\r\nlocation: /b\r\ncontent-length: 0".into(), Vec::new())),
            "/b" => ok(b"the list"),
            _ => Some(("404 Not Found\r\ncontent-length: 0".into(), Vec::new())),
        });
        let fetched = download(&format!("{server}/a"), 100, false, Reach::Loopback);
        assert_eq!(fetched.unwrap(), b"the list");
        let error = download(&format!("{server}/c"), 100, false, Reach::Loopback).unwrap_err();
        assert!(error.contains("404"), "{error}");
    }

    #[test]
    fn places_of_this_computer_are_refused_without_a_key() {
        let server = serve(|_| ok(b"secret of this computer"));
        let error = download(&server, 100, false, Reach::Public).unwrap_err();
        assert!(error.contains("127.0.0.1") && error.contains("public internet"), "{error}");
        let error = download(&server, 100, true, Reach::Any).unwrap_err();
        assert!(error.contains("https"), "{error}");
        let error = download("http://[200::1]/", 100, false, Reach::Any).unwrap_err();
        assert!(error.contains("200::1"), "{error}");
    }

    #[test]
    fn redirect_leads_nowhere_else() {
        let inner = serve(|_| ok(b"secret"));
        let location = inner.replace("127.0.0.1", "10.0.0.1");
        let server = serve(move |_| {
            let head = format!("301 Moved\r\nlocation: {location}\r\ncontent-length: 0");
            Some((head, Vec::new()))
        });
        let error = download(&server, 100, false, Reach::Loopback).unwrap_err();
        assert!(error.contains("10.0.0.1"), "{error}");
    }

    #[test]
    fn endless_answers_are_cut() {
        let server = serve(|path| match path {
            "/long" => Some(("200 OK".into(), vec![b'x'; 200_000])),
            "/loop" => Some(("302 Found\r\nlocation: /loop\r\ncontent-length: 0".into(), vec![])),
            _ => Some((format!("200 OK\r\nx: {}", "y".repeat(1 << 20)), vec![])),
        });
        let error = |path: &str| {
            download(&format!("{server}{path}"), 1_000, false, Reach::Loopback).unwrap_err()
        };
        assert!(error("/long").contains("longer than 1000 bytes"), "{}", error("/long"));
        assert!(error("/loop").contains("redirects more than 3"), "{}", error("/loop"));
        assert!(error("/headers").contains("header"), "{}", error("/headers"));
    }
}
