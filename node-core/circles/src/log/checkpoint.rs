//! What a log amounts to, written down by a senior, so that older operations may go.
//!
//! A checkpoint is the state of a log at some point: the memberships that are not over, name and
//! secret of the circle, open invites, and how far each author's chain had come. It is cut into
//! parts of one operation each, consecutive ones of one senior. Two things are done with it:
//!
//! - [`Log::compacted`], by whoever has all operations: it works the state out itself, and only
//!   where that agrees, and where the log amounts to the same afterwards, it lets older operations
//!   go. So a checkpoint that lies changes nothing.
//! - [`Log::adopt_checkpoint`], by whoever was away so long that nobody has the operations any
//!   more: it takes the word of a senior that it knew to be one.
//!
//! What a checkpoint covers is final: a removal that reaches behind it has no effect on what the
//! removed had said by then. That is why operations are kept for
//! [`CHECKPOINT_AGE`](crate::limits::CHECKPOINT_AGE) after it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use minicbor::{Decoder, Encoder, encode};
use planetary_proto::NodeKey;

use super::{
    Log, View,
    body::{self, BodyError, Kind},
    label::Label,
    operation::{OpId, Operation},
    suggestion::Suggestion,
    view::{Claim, End, Generation, OpenInvite},
};
use crate::limits::{
    CHECKPOINT_PART_LEN, CHECKPOINT_PARTS_MAX, INVITE_USES_MAX, OPERATIONS_MAX, SUGGESTIONS_MAX,
};

/// What a checkpoint says. Everything is in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// The last operation of the sound part of each author's chain.
    pub(super) heads: BTreeMap<NodeKey, (u32, OpId)>,
    /// All memberships of keys of which one is not over.
    pub(super) claims: BTreeMap<OpId, Claim>,
    pub(super) name: Label,
    pub(super) name_by: Option<Standing>,
    pub(super) suggested: Vec<Suggestion>,
    pub(super) suggested_by: Option<Standing>,
    pub(super) generation: Option<Generation>,
    pub(super) invites: BTreeMap<OpId, OpenInvite>,
}

/// Rank, number and name of an operation that chose something.
pub(super) type Standing = (u32, u32, OpId);

/// Consecutive operations that are all parts of one checkpoint.
struct Found {
    last: OpId,
    base: Base,
}

impl Log {
    /// What `senior` writes, one after the other and with nothing between, to set a checkpoint.
    /// `None` if it is no senior, or if the state does not fit.
    #[must_use]
    pub fn checkpoint(&self, senior: &NodeKey) -> Option<Vec<Kind>> {
        if !self.view().is_senior(senior) || self.is_forked(senior) {
            return None;
        }
        let state = self.state().emit();
        let parts = state.chunks(CHECKPOINT_PART_LEN).len();
        if parts > CHECKPOINT_PARTS_MAX {
            return None;
        }
        // At most `CHECKPOINT_PARTS_MAX`.
        let parts = parts as u32;
        let kinds = (0..)
            .zip(state.chunks(CHECKPOINT_PART_LEN))
            .map(|(part, bytes)| Kind::Checkpoint { part, parts, state: bytes.to_vec() });
        Some(kinds.collect())
    }

    /// The checkpoints that are known whole and count, each by its last operation, the latest of
    /// each senior last. The one that the log began from is not among them.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<OpId> {
        let view = self.view();
        self.found(|chain| chain.sound().collect())
            .map(|found| found.last)
            .filter(|last| view.counts(last) && Some(*last) != self.began_at())
            .collect()
    }

    /// The checkpoint that the log began from, by its last operation.
    #[must_use]
    pub fn began_at(&self) -> Option<OpId> {
        self.base.as_ref().map(|(last, _)| *last)
    }

    /// The log without the operations that the checkpoint covers.
    ///
    /// `None` if there is no such checkpoint, if it says something else than the operations that
    /// it covers, or if the log would not amount to the same.
    #[must_use]
    pub fn compacted(&self, checkpoint: &OpId) -> Option<Self> {
        let mut all = self.found(|chain| chain.sound().collect());
        let found = all.find(|found| found.last == *checkpoint)?;
        let covered = self.up_to(&found.base.heads);
        if !self.view().counts(checkpoint) || covered.state() != found.base {
            return None;
        }
        let compacted = self.based(found)?;
        let same = compacted.view().amounts_to() == self.view().amounts_to();
        same.then_some(compacted)
    }

    /// Goes on from the latest checkpoint of a senior that covers what is missing here, if there is
    /// one; tells whether it did. To be called when a member has sent all it has, and
    /// [`Log::has_gaps`] nonetheless.
    ///
    /// A checkpoint is not taken if it contradicts an operation that is known.
    pub fn adopt_checkpoint(&mut self) -> bool {
        let view = self.view();
        let agrees = |(author, (seq, id)): (&NodeKey, &(u32, OpId))| match self.chains.get(author) {
            Some(chain) if chain.head().0 >= *seq => chain.id_at(*seq) == Some(*id),
            _ => true,
        };
        let newer =
            |base: &Base| base.heads.iter().any(|(author, (seq, _))| *seq > self.tip(author).0);
        let seniors = self.seniors().iter().filter(|key| view.is_senior(key));
        let best = seniors
            .filter_map(|key| self.chains.get(key))
            .filter_map(|chain| last_found(&chain.all().collect::<Vec<_>>()))
            .filter(|found| found.base.heads.iter().all(agrees) && newer(&found.base))
            .max_by_key(|found| {
                found.base.heads.values().map(|(seq, _)| u64::from(*seq)).sum::<u64>()
            });
        match best.and_then(|found| self.based(found)) {
            Some(adopted) => {
                *self = adopted;
                true
            }
            None => false,
        }
    }

    /// Checkpoints that are whole among the operations that `of` picks of each senior's chain.
    fn found<'a>(
        &'a self,
        of: impl Fn(&'a super::Chain) -> Vec<&'a Operation> + 'a,
    ) -> impl Iterator<Item = Found> + 'a {
        let chains = self.seniors().iter().filter_map(|senior| self.chains.get(senior));
        chains.flat_map(move |chain| found_in(&of(chain)))
    }

    /// The state of the log now.
    fn state(&self) -> Base {
        let view = self.view();
        let current = |claim: &&Claim| view.current(&claim.member).next().is_some();
        Base {
            heads: self
                .chains
                .iter()
                .map(|(author, chain)| (*author, chain.head()))
                .filter(|(_, (seq, _))| *seq > 0)
                .collect(),
            claims: view
                .claims
                .values()
                .filter(current)
                .map(|claim| (claim.id, claim.clone()))
                .collect(),
            name: view.name.clone(),
            name_by: view.name_by,
            suggested: view.suggested.clone(),
            suggested_by: view.suggested_by,
            generation: view.generation,
            invites: view.invites.clone(),
        }
    }

    /// The log with no operation behind these heads.
    fn up_to(&self, heads: &BTreeMap<NodeKey, (u32, OpId)>) -> Self {
        let mut log = self.emptied(self.base.clone());
        let covered =
            |one: &&Operation| heads.get(&one.author()).is_some_and(|(seq, _)| one.seq() <= *seq);
        self.operations().filter(covered).for_each(|one| log.take(one.clone()));
        log
    }

    /// The log as it goes on from a checkpoint. `None` if it would not have the checkpoint itself.
    fn based(&self, found: Found) -> Option<Self> {
        let last = found.last;
        let mut log = self.emptied(Some((last, std::sync::Arc::new(found.base))));
        for operation in self.operations() {
            if !log.knows(operation) {
                log.take(operation.clone());
            }
        }
        log.name_everybody();
        log.get(&last).is_some().then_some(log)
    }
}

/// The log's beginning among its operations, for [`Log::read`].
pub(super) fn base_in(operations: &[Operation], last: &OpId) -> Option<Base> {
    let end = operations.iter().position(|one| one.id() == *last)?;
    let author = operations[end].author();
    let mut own: Vec<_> = operations.iter().filter(|one| one.author() == author).collect();
    own.sort_by_key(|one| one.seq());
    found_in(&own).into_iter().find(|found| found.last == *last).map(|found| found.base)
}

fn last_found(chain: &[&Operation]) -> Option<Found> {
    found_in(chain).pop()
}

/// The checkpoints that are whole in a chain, in order.
fn found_in(chain: &[&Operation]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut run: Vec<&Operation> = Vec::new();
    let mut bytes = Vec::new();
    for operation in chain {
        let Kind::Checkpoint { part, parts, state } = operation.kind() else {
            run.clear();
            continue;
        };
        let follows = run.last().is_some_and(|last| {
            operation.prev() == last.id() && operation.seq() == last.seq().saturating_add(1)
        });
        if *part == 0 {
            run.clear();
            bytes.clear();
        } else if !follows || *part as usize != run.len() {
            run.clear();
            continue;
        }
        run.push(operation);
        bytes.extend_from_slice(state);
        if run.len() == *parts as usize
            && let Ok(base) = Base::parse(&bytes)
        {
            found.push(Found { last: operation.id(), base });
        }
    }
    found
}

impl View {
    /// What members see of it.
    fn amounts_to(&self) -> impl PartialEq + '_ {
        let Self { name, suggested, members, forked, generation, paper, .. } = self;
        (name, suggested, members, forked, generation, paper)
    }
}

/// Written by hand rather than derived: the encoding is part of what is signed.
impl Base {
    pub(super) fn emit(&self) -> Vec<u8> {
        // Writing to a vector cannot fail.
        self.write().expect("a vector takes every byte")
    }

    fn write(&self) -> Result<Vec<u8>, encode::Error<Infallible>> {
        let mut out = Encoder::new(Vec::new());
        out.array(6)?.array(self.heads.len() as u64)?;
        for (author, (seq, id)) in &self.heads {
            out.array(3)?.bytes(author.as_bytes())?.u32(*seq)?.bytes(id.as_bytes())?;
        }
        out.array(self.claims.len() as u64)?;
        for claim in self.claims.values() {
            write_claim(&mut out, claim)?;
        }
        out.array(2)?.str(self.name.as_str())?;
        write_standing(&mut out, self.name_by)?;
        out.array(2)?.array(self.suggested.len() as u64)?;
        for suggestion in &self.suggested {
            out.str(&suggestion.to_string())?;
        }
        write_standing(&mut out, self.suggested_by)?;
        match self.generation {
            None => out.null()?,
            Some(Generation { number, commitment, author }) => {
                out.array(3)?.u32(number)?.bytes(&commitment)?.bytes(author.as_bytes())?
            }
        };
        out.array(self.invites.len() as u64)?;
        for (id, invite) in &self.invites {
            out.array(4)?.bytes(id.as_bytes())?.bytes(invite.author.as_bytes())?;
            out.u8(invite.role.number())?.u32(invite.left)?;
        }
        Ok(out.into_writer())
    }

    /// # Errors
    /// [`BodyError`] for bytes that [`Base::emit`] does not give.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BodyError> {
        let mut decoder = Decoder::new(bytes);
        let input = &mut decoder;
        fixed(input, 6)?;
        let heads = body::list(input, OPERATIONS_MAX, |input| {
            fixed(input, 3)?;
            Ok((body::key(input)?, (body::number_32(input)?, body::id(input)?)))
        })?;
        let claims = body::list(input, OPERATIONS_MAX, read_claim)?;
        fixed(input, 2)?;
        let name = body::label(input)?;
        let name_by = read_standing(input)?;
        fixed(input, 2)?;
        let suggested = body::list(input, SUGGESTIONS_MAX, body::suggestion)?;
        let suggested_by = read_standing(input)?;
        let generation = optional(input, |input| {
            fixed(input, 3)?;
            let number = body::number_32(input)?;
            let commitment = body::array(input)?;
            Ok(Generation { number, commitment, author: body::key(input)? })
        })?;
        let invites = body::list(input, OPERATIONS_MAX, |input| {
            fixed(input, 4)?;
            let id = body::id(input)?;
            let author = body::key(input)?;
            let role = body::role(input)?;
            let left = body::number_32(input)?;
            if left == 0 || left > INVITE_USES_MAX {
                return Err(BodyError::Value);
            }
            Ok((id, OpenInvite { author, role, left }))
        })?;
        let base = Self {
            heads: heads.into_iter().collect(),
            claims: claims.into_iter().map(|claim| (claim.id, claim)).collect(),
            name,
            name_by,
            suggested,
            suggested_by,
            generation,
            invites: invites.into_iter().collect(),
        };
        if base.emit() == bytes { Ok(base) } else { Err(BodyError::Encoding) }
    }
}

type Written = Result<(), encode::Error<Infallible>>;

fn write_claim(out: &mut Encoder<Vec<u8>>, claim: &Claim) -> Written {
    out.array(9)?.bytes(claim.id.as_bytes())?.bytes(claim.member.as_bytes())?;
    out.u8(claim.role.number())?.u32(claim.rank)?;
    match &claim.label {
        None => out.null()?,
        Some(label) => out.str(label.as_str())?,
    };
    match claim.added {
        None => out.null()?,
        Some((by, seq)) => out.array(2)?.bytes(by.as_bytes())?.u32(seq)?,
    };
    out.u32(claim.from)?.bool(claim.accepted)?;
    match claim.end {
        None => out.null()?,
        Some(End { by, seq }) => out.array(3)?.bytes(by.as_bytes())?.u32(seq)?.u32(claim.cutoff)?,
    };
    Ok(())
}

fn read_claim(input: &mut Decoder<'_>) -> Result<Claim, BodyError> {
    fixed(input, 9)?;
    let id = body::id(input)?;
    let member = body::key(input)?;
    let role = body::role(input)?;
    let rank = body::number_32(input)?;
    let label = optional(input, body::label)?;
    let added = optional(input, |input| {
        fixed(input, 2)?;
        Ok((body::key(input)?, body::number_32(input)?))
    })?;
    let from = body::number_32(input)?;
    let accepted = input.bool()?;
    let end = optional(input, |input| {
        fixed(input, 3)?;
        let end = End { by: body::key(input)?, seq: body::number_32(input)? };
        Ok((end, body::number_32(input)?))
    })?;
    Ok(Claim {
        id,
        member,
        role,
        rank,
        label,
        added,
        from,
        cutoff: end.map_or(u32::MAX, |(_, cutoff)| cutoff),
        accepted,
        end: end.map(|(end, _)| end),
    })
}

fn write_standing(out: &mut Encoder<Vec<u8>>, standing: Option<Standing>) -> Written {
    match standing {
        None => out.null()?,
        Some((rank, seq, id)) => out.array(3)?.u32(rank)?.u32(seq)?.bytes(id.as_bytes())?,
    };
    Ok(())
}

fn read_standing(input: &mut Decoder<'_>) -> Result<Option<Standing>, BodyError> {
    optional(input, |input| {
        fixed(input, 3)?;
        Ok((body::number_32(input)?, body::number_32(input)?, body::id(input)?))
    })
}

fn fixed(input: &mut Decoder<'_>, len: u64) -> Result<(), BodyError> {
    if input.array()? == Some(len) { Ok(()) } else { Err(BodyError::Fields) }
}

fn optional<T>(
    input: &mut Decoder<'_>,
    read: impl FnOnce(&mut Decoder<'_>) -> Result<T, BodyError>,
) -> Result<Option<T>, BodyError> {
    if input.datatype()? == minicbor::data::Type::Null {
        input.null()?;
        return Ok(None);
    }
    read(input).map(Some)
}
