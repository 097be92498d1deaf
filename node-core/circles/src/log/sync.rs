//! What one log has that another lacks, told from a few bytes per author.

use std::collections::{BTreeMap, BTreeSet};

use planetary_proto::NodeKey;

use super::{
    Log,
    body::Kind,
    chain::Chain,
    operation::{OpId, Operation},
};
use crate::hash::blake2b_256;

/// How far an author's chain is known, short enough for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Head {
    /// The first bytes of the author's key.
    pub author: [u8; 8],
    /// Number of the last operation of the sound part of the chain; of a fork the number from which
    /// on nothing counts.
    pub seq: u32,
    /// The first bytes of what names that operation; of a fork those of
    /// `BLAKE2b-256("planetary circle fork" | what names the operation before it)`. So whoever
    /// knows that there is a fork, and the chain up to it, has the same head, whatever proves
    /// it.
    pub id: [u8; 8],
}

impl Log {
    /// How far each author's chain is known, by author: one for each with operations in their
    /// place.
    #[must_use]
    pub fn heads(&self) -> Vec<Head> {
        self.chains.iter().filter_map(|(author, chain)| head(author, chain)).collect()
    }

    /// What somebody lacks who knows as much as `heads` says: whoever adds a key comes before what
    /// that key has said, and each author's operations come in order, but for a chain that parts
    /// from theirs, which comes from its end. At most `max` operations of
    /// together at most `len_max` bytes.
    ///
    /// The first operation of all is among them only if there are no heads.
    #[must_use]
    pub fn missing(&self, heads: &[Head], max: usize, len_max: usize) -> Vec<&Operation> {
        let theirs: BTreeMap<_, _> = heads.iter().map(|head| (head.author, head)).collect();
        let genesis = heads.is_empty().then_some(self.genesis());
        let mut left = len_max;
        let lacking = self.introduced().into_iter().flat_map(|(author, chain)| {
            let head = theirs.get(&short(author.as_bytes()));
            head.map_or(Lack::From(0), |head| lack(chain, head)).of(chain)
        });
        genesis
            .into_iter()
            .chain(lacking)
            .take(max)
            .take_while(|operation| {
                let fits = operation.bytes().len() <= left;
                left = left.saturating_sub(operation.bytes().len());
                fits
            })
            .collect()
    }

    /// Whether somebody with this head knows something of the author that is not known here.
    #[must_use]
    pub fn lacks(&self, theirs: &Head) -> bool {
        let mut known =
            self.chains.iter().filter(|(key, _)| short(key.as_bytes()) == theirs.author);
        let Some((author, chain)) = known.next() else { return theirs.seq > 0 };
        let ours = head(author, chain);
        let known = ours == Some(*theirs) || is_fork_of(chain, theirs) && chain.is_forked();
        if known || theirs.seq < chain.base() {
            // What a checkpoint covers is final, whatever they know of it.
            return false;
        }
        let agrees = chain.id_at(theirs.seq).is_some_and(|id| short(id.as_bytes()) == theirs.id);
        !agrees
    }

    /// Whether operations are known that cannot count because others before them are missing.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.chains.values().any(|chain| !chain.is_forked() && chain.highest() > chain.head().0)
    }

    /// The authors with operations, each behind whoever adds it; at the end those whom nobody has
    /// added.
    fn introduced(&self) -> Vec<(&NodeKey, &Chain)> {
        let mut seen: BTreeSet<NodeKey> = BTreeSet::new();
        let mut order = Vec::new();
        // The checkpoint that the log began from comes first: its author is a senior.
        let mut next: Vec<NodeKey> = self
            .began_at()
            .and_then(|id| self.get(&id))
            .map(Operation::author)
            .into_iter()
            .collect();
        next.extend(self.seniors());
        next.extend(
            self.base().into_iter().flat_map(|base| base.claims.values().map(|claim| claim.member)),
        );
        while !next.is_empty() {
            let mut added = Vec::new();
            for key in next {
                if !seen.insert(key) {
                    continue;
                }
                let Some((key, chain)) = self.chains.get_key_value(&key) else { continue };
                order.push((key, chain));
                added.extend(chain.all().filter_map(|operation| match operation.kind() {
                    Kind::Add { member, .. } => Some(*member),
                    _ => None,
                }));
            }
            next = added;
        }
        order.extend(self.chains.iter().filter(|(key, _)| !seen.contains(*key)));
        order
    }
}

/// What of a chain somebody lacks.
enum Lack {
    Nothing,
    /// Everything from this number on.
    From(u32),
    /// What proves a fork.
    Fork,
    /// Everything from this number down: theirs is another chain from some lower number on. What
    /// comes first is new to them, so each message brings both nearer to where the chains part.
    Down(u32),
}

impl Lack {
    /// Never what lies behind a gap: whoever has what fills it has more than this chain.
    fn of(self, chain: &Chain) -> Vec<&Operation> {
        let fork = chain.head().0.saturating_add(1);
        let last = if chain.is_forked() { fork } else { chain.head().0 };
        let between = |from: u32, to: u32| {
            chain.all().filter(move |one| from <= one.seq() && one.seq() <= to.min(last)).collect()
        };
        match self {
            Self::Nothing => Vec::new(),
            Self::From(from) => between(from, last),
            Self::Fork => between(fork, fork),
            Self::Down(to) => {
                let mut down: Vec<_> = between(0, to);
                down.reverse();
                down
            }
        }
    }
}

fn lack(chain: &Chain, theirs: &Head) -> Lack {
    let (last, _) = chain.head();
    let agrees = chain.id_at(theirs.seq).is_some_and(|id| short(id.as_bytes()) == theirs.id);
    if agrees {
        // The fork behind the sound part, too.
        return Lack::From(theirs.seq.saturating_add(1));
    }
    if theirs.seq < chain.base() {
        // What lies between has gone; a checkpoint is in its place.
        return Lack::From(0);
    }
    if is_fork_of(chain, theirs) || theirs.seq > last && !chain.is_forked() {
        return Lack::Nothing;
    }
    if theirs.seq > last.saturating_add(1) {
        // They know one side of the fork and not the other, or another chain altogether. In that
        // case this chain's head tells them to send theirs.
        return Lack::Fork;
    }
    Lack::Down(theirs.seq)
}

/// Whether the head is that of a fork of this chain.
fn is_fork_of(chain: &Chain, head: &Head) -> bool {
    let before = head.seq.checked_sub(1).and_then(|seq| chain.id_at(seq));
    before.is_some_and(|before| fork_mark(&before) == head.id)
}

fn head(author: &NodeKey, chain: &Chain) -> Option<Head> {
    let (seq, id) = chain.head();
    let author = short(author.as_bytes());
    if chain.is_forked() {
        return Some(Head { author, seq: seq.saturating_add(1), id: fork_mark(&id) });
    }
    (seq > 0).then(|| Head { author, seq, id: short(id.as_bytes()) })
}

fn fork_mark(before: &OpId) -> [u8; 8] {
    short(&blake2b_256(&[b"planetary circle fork", before.as_bytes()]))
}

fn short(bytes: &[u8; 32]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&bytes[..8]);
    short
}
