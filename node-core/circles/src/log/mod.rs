//! Circles: what their members have signed, and what it amounts to.
//!
//! A circle is a set of signed operations that every member holds. Each author has a chain of its
//! own, and the set is evaluated by a pure function: no server, no clock, no agreement, and no
//! order in which operations must come. [`Operation::parse`] verifies one, [`Log::insert`] adds it
//! to what is known, [`Log::view`] says what follows, [`Draft`] makes a new one.
//!
//! A log is what a stranger's bytes may fill, so it is bounded everywhere; it holds no secret, but
//! names, keys and [`CircleId`]s that are no stranger's business. It does not know which machine it
//! is on, sends nothing, and says nothing about what a circle may reach here.
//!
//! ```text
//! operation.rs  one record: layout, name, signature      body.rs      what it says, in CBOR
//! chain.rs      the operations of one author             evaluate.rs  who is a member
//! view.rs       the answer                               draft.rs     new operations
//! checkpoint.rs what lets old operations go
//! sync.rs       what another log lacks                storage.rs   a log as bytes
//! label.rs, suggestion.rs  texts
//! ```
//!
//! Source: `research/beyond.md` section 4.3; `docs/circles.md`.

mod body;
mod chain;
mod checkpoint;
mod draft;
mod evaluate;
mod label;
mod operation;
mod storage;
mod suggestion;
mod sync;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use planetary_proto::NodeKey;
use thiserror::Error;

pub use self::{
    body::{BodyError, Kind, Role},
    draft::{Draft, RuleError},
    label::{Label, LabelError, RemovalReason},
    operation::{CircleId, OpId, Operation, OperationError},
    storage::ReadError,
    suggestion::{Suggestion, SuggestionError},
    sync::Head,
    view::{Generation, Membership, State, View},
};
use self::{chain::Chain, checkpoint::Base};
use crate::limits::{
    LOG_LEN_MAX, OPERATION_LEN_MAX, OPERATIONS_MAX, OPERATIONS_OF_SENIORS,
    OPERATIONS_OF_STRANGERS_MAX, SEQUENCE_GAP_MAX,
};

/// What is known of one circle. See the module.
#[derive(Clone, Debug)]
pub struct Log {
    genesis: Operation,
    /// What the log began from, if not from its first operation: a checkpoint, by its last
    /// operation.
    base: Option<(OpId, Arc<Base>)>,
    chains: BTreeMap<NodeKey, Chain>,
    /// Seniors, and whom one of these has ever added, whether or not it counts.
    named: BTreeSet<NodeKey>,
    /// Bytes of all operations.
    bytes: usize,
    view: OnceLock<View>,
}

/// Whether a log took an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is new, and the view may be another one.
    New,
    /// It was known, or can change nothing any more.
    Known,
}

/// Why a log does not take an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LogError {
    /// It belongs to another circle.
    #[error("the operation belongs to another circle")]
    OtherCircle,
    /// Too much is known: as much as a log holds, or of authors whom nobody has added.
    #[error("the log takes no more operations")]
    Full,
    /// Too many of its author's operations before it are missing. It may come again with them.
    #[error("too much before the operation is missing")]
    TooFarAhead,
    /// The first operation must be a [`Kind::Genesis`].
    #[error("the operation begins no circle")]
    NoGenesis,
}

impl Log {
    /// A log of nothing but its first operation.
    ///
    /// # Errors
    /// [`LogError::NoGenesis`] for any other operation.
    pub fn new(genesis: Operation) -> Result<Self, LogError> {
        if !matches!(genesis.kind(), Kind::Genesis { .. }) {
            return Err(LogError::NoGenesis);
        }
        let mut log = Self {
            bytes: genesis.bytes().len(),
            genesis,
            base: None,
            chains: BTreeMap::new(),
            named: BTreeSet::new(),
            view: OnceLock::new(),
        };
        log.name_everybody();
        Ok(log)
    }

    /// A log of the same circle without operations but the first, on another base or none.
    fn emptied(&self, base: Option<(OpId, Arc<Base>)>) -> Self {
        let heads = base.iter().flat_map(|(_, base)| &base.heads);
        Self {
            chains: heads.map(|(author, head)| (*author, Chain::new(*head))).collect(),
            base,
            genesis: self.genesis.clone(),
            named: BTreeSet::new(),
            bytes: self.genesis.bytes().len(),
            view: OnceLock::new(),
        }
    }

    /// What names the circle.
    #[must_use]
    pub fn id(&self) -> CircleId {
        self.genesis.circle()
    }

    /// The first operation.
    #[must_use]
    pub fn genesis(&self) -> &Operation {
        &self.genesis
    }

    /// What is known amounts to this. Computed once after each change: O(operations) for honest
    /// logs.
    #[must_use]
    pub fn view(&self) -> &View {
        self.view.get_or_init(|| evaluate::evaluate(self))
    }

    /// Takes an operation, in whatever order they come.
    ///
    /// # Errors
    /// [`LogError`]; the log stays as it is.
    pub fn insert(&mut self, operation: Operation) -> Result<Inserted, LogError> {
        if operation.circle() != self.id() {
            return Err(LogError::OtherCircle);
        }
        let author = operation.author();
        if self.knows(&operation) {
            return Ok(Inserted::Known);
        }
        // Whoever was away for long gets a checkpoint without what lies before it.
        let checkpoint =
            matches!(operation.kind(), Kind::Checkpoint { .. }) && self.seniors().contains(&author);
        let ahead = operation.seq() > self.tip(&author).0.saturating_add(SEQUENCE_GAP_MAX);
        if ahead && !checkpoint {
            return Err(LogError::TooFarAhead);
        }
        self.room(&author, operation.bytes().len())?;
        self.take(operation);
        self.name_members_of(author);
        Ok(Inserted::New)
    }

    /// Whether the operation is known or can change nothing any more.
    fn knows(&self, operation: &Operation) -> bool {
        let chain = self.chains.get(&operation.author());
        *operation == self.genesis || chain.is_some_and(|chain| chain.knows(operation))
    }

    /// Takes an operation that is not known.
    fn take(&mut self, operation: Operation) {
        let base = (0, self.id().genesis());
        let chain = self.chains.entry(operation.author()).or_insert_with(|| Chain::new(base));
        self.bytes = self.bytes + operation.bytes().len() - chain.insert(operation);
        self.view = OnceLock::new();
    }

    /// Number of operations, the first included.
    #[must_use]
    pub fn len(&self) -> usize {
        1 + self.operations().count()
    }

    /// Whether there is nothing but the first operation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations().next().is_none()
    }

    /// All operations but the first, by author and number.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.chains.values().flat_map(Chain::all)
    }

    /// The operation of this name, if it is known.
    #[must_use]
    pub fn get(&self, id: &OpId) -> Option<&Operation> {
        let genesis = core::iter::once(&self.genesis);
        genesis.chain(self.operations()).find(|operation| operation.id() == *id)
    }

    /// Whether the key is a senior's, or one of these has ever added it or somebody who did: whose
    /// operations may come to count.
    #[must_use]
    pub fn names(&self, key: &NodeKey) -> bool {
        self.named.contains(key)
    }

    /// Whether two operations of the author are known to have one number: what it says from there
    /// on counts for nobody.
    #[must_use]
    pub fn is_forked(&self, author: &NodeKey) -> bool {
        self.chains.get(author).is_some_and(Chain::is_forked)
    }

    /// The number of the author's last operation that is known and in its place, and what names it.
    fn tip(&self, author: &NodeKey) -> (u32, OpId) {
        self.chains.get(author).map_or((0, self.id().genesis()), Chain::head)
    }

    fn sound(&self, author: &NodeKey) -> impl Iterator<Item = &Operation> {
        self.chains.get(author).into_iter().flat_map(Chain::sound)
    }

    /// Authors with a fork right behind the sound part of their chains.
    fn forked(&self) -> impl Iterator<Item = NodeKey> {
        self.chains.iter().filter(|(_, chain)| chain.is_forked()).map(|(author, _)| *author)
    }

    fn base(&self) -> Option<&Base> {
        self.base.as_ref().map(|(_, base)| &**base)
    }

    fn seniors(&self) -> &[NodeKey] {
        self.begun().1
    }

    fn name(&self) -> &Label {
        self.begun().0
    }

    fn paper(&self) -> Option<NodeKey> {
        let (_, seniors, paper) = self.begun();
        seniors.first().filter(|_| paper).copied()
    }

    /// What the first operation says: name, seniors, and whether the first is a key on paper.
    fn begun(&self) -> (&Label, &[NodeKey], bool) {
        match self.genesis.kind() {
            Kind::Genesis { name, seniors, paper, .. } => (name, seniors, *paper),
            // `new` takes nothing else.
            _ => unreachable!("a log begins with a genesis"),
        }
    }

    /// Whether an operation of so many bytes fits.
    fn room(&self, author: &NodeKey, len: usize) -> Result<(), LogError> {
        let kept = if self.seniors().contains(author) { 0 } else { OPERATIONS_OF_SENIORS };
        let full = self.len() + kept >= OPERATIONS_MAX
            || self.bytes + len + kept * OPERATION_LEN_MAX > LOG_LEN_MAX
            || !self.names(author) && self.of_strangers() >= OPERATIONS_OF_STRANGERS_MAX;
        if full { Err(LogError::Full) } else { Ok(()) }
    }

    /// Number of operations whose authors nobody has added.
    fn of_strangers(&self) -> usize {
        let unknown = self.chains.iter().filter(|(author, _)| !self.names(author));
        unknown.flat_map(|(_, chain)| chain.all()).count()
    }

    /// Notes whose operations may come to count, from what is known now.
    fn name_everybody(&mut self) {
        let mut begun: Vec<_> = self.seniors().to_vec();
        if let Some(base) = self.base() {
            begun.extend(base.heads.keys());
            begun.extend(base.claims.values().map(|claim| claim.member));
        }
        self.named.extend(begun.iter().copied());
        for author in begun {
            self.name_members_of(author);
        }
    }

    /// Notes whom the author has added, if it was added itself, and whom these have added.
    fn name_members_of(&mut self, author: NodeKey) {
        let mut authors = vec![author];
        while let Some(author) = authors.pop() {
            if !self.named.contains(&author) {
                continue;
            }
            let chain = self.chains.get(&author).into_iter().flat_map(Chain::all);
            for operation in chain {
                if let Kind::Add { member, .. } = operation.kind()
                    && self.named.insert(*member)
                {
                    authors.push(*member);
                }
            }
        }
    }
}
