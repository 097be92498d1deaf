//! The known key that a mistyped one was most likely meant to be.

/// Longest name that is compared, in bytes; a longer one was not meant as any of ours.
const NAME_LEN_MAX: usize = 64;

/// Returns the name among `known` that is nearest to `name`.
///
/// Case, `_` and `-` do not count, and a last part that matches exactly (`mtu` for `tun.mtu`) beats
/// any spelling.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = fold(name);
    known.min_by_key(|candidate| {
        let candidate = fold(candidate);
        let same_last = last_part(&wanted) == last_part(&candidate);
        (!same_last, distance(wanted.as_bytes(), candidate.as_bytes()))
    })
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
    }

    #[test]
    fn endless_names_cost_little() {
        let long = "x".repeat(1 << 20);
        assert!(nearest(&long, ["peers"].into_iter()).is_some());
    }
}
