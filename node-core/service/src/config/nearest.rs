//! The known key that a mistyped one was most likely meant to be.

/// Longest name that is compared, in bytes; a longer one was not meant as any of ours.
const NAME_LEN_MAX: usize = 64;

/// Edits that a short name may be away from what was meant. More would make any short name of any
/// other.
const EDITS_MAX: usize = 2;

/// Returns the name among `known` that `name` was most likely meant to be, if there is a likely
/// one.
///
/// Case, `_` and `-` do not count. A few edits lead to the name, or it is the right one in a wrong
/// section (`mtu` for `tun.mtu`, `tun.peers` for `peers`).
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let wanted = fold(name);
    let close = known.clone().filter_map(|name| Some((edits(&wanted, &fold(name))?, name)));
    if let Some((_, name)) = close.min_by_key(|(edits, _)| *edits) {
        return Some(name);
    }
    let same_last = |candidate: &&str| last_part(&fold(candidate)) == last_part(&wanted);
    let mut elsewhere = known.filter(same_last);
    let first = elsewhere.next()?;
    // A name that several sections have tells nothing.
    elsewhere.next().is_none().then_some(first)
}

/// Returns the number of edits from one name to the other if each part, between the dots, is close
/// to its counterpart.
fn edits(wanted: &str, candidate: &str) -> Option<usize> {
    if wanted.split('.').count() != candidate.split('.').count() {
        return None;
    }
    let parts = wanted.split('.').zip(candidate.split('.'));
    parts
        .map(|(wanted, candidate)| {
            let most = EDITS_MAX.max(wanted.len() / 3).min(wanted.len() / 2);
            Some(distance(wanted.as_bytes(), candidate.as_bytes())).filter(|edits| *edits <= most)
        })
        .sum()
}

fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .flat_map(char::to_lowercase)
        .take(NAME_LEN_MAX)
        .collect()
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Returns the number of single-byte insertions, deletions, replacements and swaps of neighbours
/// that turn `a` into `b`: O(len(a) · len(b)).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (a, b, edits) in
            [("", "", 0), ("", "abc", 3), ("peers", "peers", 0), ("pers", "peers", 1)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), edits, "{a} {b}");
        }
        assert_eq!(distance(b"pere", b"peer"), 1, "a swap of neighbours is one edit");
        assert_eq!(distance(b"kitten", b"sitting"), 3);
    }

    #[test]
    fn prefers_the_same_last_part_and_ignores_case() {
        let known = ["peers", "tun.mtu", "tun.name", "allowed_keys"];
        assert_eq!(nearest("mtu", known.into_iter()), Some("tun.mtu"));
        assert_eq!(nearest("Peers", known.into_iter()), Some("peers"));
        assert_eq!(nearest("AllowedKeys", known.into_iter()), Some("allowed_keys"));
        assert_eq!(nearest("tun.nmae", known.into_iter()), Some("tun.name"));
        assert_eq!(nearest("log.peers", known.into_iter()), Some("peers"));
    }

    #[test]
    fn far_names_are_not_suggested() {
        let known = ["peers", "version", "group", "tun.mtu", "lan.enabled", "dht.enabled"];
        for name in ["origin", "colour", "a", "no", "mtl", "tun.enabled", "enabled", ""] {
            assert_eq!(nearest(name, known.into_iter()), None, "{name}");
        }
        assert_eq!(nearest("lan.enable", known.into_iter()), Some("lan.enabled"));
    }

    #[test]
    fn endless_names_cost_little() {
        let long = "x".repeat(1 << 20);
        assert_eq!(nearest(&long, ["peers"].into_iter()), None);
    }
}
