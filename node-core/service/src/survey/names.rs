//! Whether the names of peers have addresses, and whether there is a resolver to ask.

use std::net::ToSocketAddrs;
use std::thread;

/// Most names that are looked up at one time: enough to tell a resolver that is gone from a name
/// that is.
pub const NAMES_MAX: usize = 8;

/// The longest file of resolvers that is read.
#[cfg(target_os = "linux")]
const RESOLVERS_LEN_MAX: u64 = 64 << 10;

/// What came of looking names up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Names that have an address.
    pub found: Vec<String>,
    /// Names that have none, as far as the resolver says.
    pub missing: Vec<String>,
    /// Whether the system knows a resolver; `None` where that cannot be told.
    pub resolver: Option<bool>,
}

impl Names {
    /// Looks names up, the first [`NAMES_MAX`] of them, side by side. Blocks for as long as the
    /// system's resolver does.
    #[must_use]
    pub fn look(names: &[String]) -> Self {
        let mut looked = Self { resolver: has_resolver(), ..Self::default() };
        let first = &names[..names.len().min(NAMES_MAX)];
        let lookups: Vec<_> =
            first.iter().cloned().map(|name| thread::spawn(move || is_known(&name))).collect();
        // A lookup that panicked found nothing.
        let outcomes = lookups.into_iter().map(|lookup| lookup.join().unwrap_or(false));
        for (name, found) in first.iter().zip(outcomes) {
            let list = if found { &mut looked.found } else { &mut looked.missing };
            list.push(name.clone());
        }
        looked
    }
}

fn is_known(name: &str) -> bool {
    (name, 0).to_socket_addrs().is_ok_and(|mut found| found.next().is_some())
}

#[cfg(target_os = "linux")]
fn has_resolver() -> Option<bool> {
    use crate::state::{ReadError, read_bounded};
    match read_bounded(std::path::Path::new("/etc/resolv.conf"), RESOLVERS_LEN_MAX) {
        Ok(bytes) => Some(names_resolver(&String::from_utf8_lossy(&bytes))),
        Err(ReadError::Missing) => Some(false),
        Err(_) => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn has_resolver() -> Option<bool> {
    None
}

/// Whether the text of `resolv.conf` names a resolver.
#[cfg(any(target_os = "linux", test))]
fn names_resolver(text: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("nameserver") && words.next().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_is_named_by_its_line_alone() {
        assert!(names_resolver("# made by hand\nnameserver 192.0.2.1\noptions ndots:1\n"));
        assert!(names_resolver("  nameserver\tfe80::1%eth0"));
        for none in ["", "nameserver", "#nameserver 192.0.2.1", "search example"] {
            assert!(!names_resolver(none), "{none}");
        }
    }

    #[test]
    fn names_of_this_computer_are_found_and_made_up_ones_are_not() {
        let names = ["127.0.0.1".to_owned(), "no-such-name.invalid".to_owned()];
        let looked = Names::look(&names);
        assert_eq!((looked.found.len(), looked.missing.len()), (1, 1), "{looked:?}");
    }

    #[test]
    fn no_more_names_are_looked_up_than_are_needed() {
        let names = vec!["127.0.0.1".to_owned(); NAMES_MAX + 3];
        assert_eq!(Names::look(&names).found.len(), NAMES_MAX);
    }
}
