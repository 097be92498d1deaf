//! `circles.json` and `circles/<number>.log`: what this computer knows of its circles, and what
//! they may reach here.
//!
//! ```text
//! circles.json            access, invites, joins, secrets, what was declined     one record
//! circles/<64 hex>.log    the operations of one circle                           one file each
//! ```
//!
//! A log is its circle's own truth and is read by `planetary_circles`; here it is bytes. The record
//! is this computer's: nothing in it came from a circle but secrets. [`Circles`] exists only if it
//! is within bounds.
//!
//! What is lost opens nothing. A damaged record is set aside, and circles whose logs are there are
//! taken up again without any right. A damaged log is set aside too; its circle has no members
//! then, and is paused here, because what comes back from other members may be older than what was
//! known. A log is written before its circle is in the record, so a crash between the two leaves a
//! circle without rights, never a right without its circle.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use planetary_circles::limits::SERVICES_PER_PERSON_MAX;
use planetary_ipc::friends::{self, StillOpen};
use planetary_ipc::{
    CircleAccess, CircleAccessChange, CircleId, FriendName, LocalService, MemberRole, NodeKey,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

use super::atomic::{self, OsDisk};
use super::record::{self, Damage, Loaded, Record, RecordError};
use super::{ReadError, StateDir, make_private_dir, read_bounded, set_aside};

/// Most circles, whatever the state: one bit each in the packet filter.
pub const CIRCLES_MAX: usize = planetary_circles::limits::CIRCLES_MAX;

/// Most services that one circle may reach here. All of them together, and what is open to everyone,
/// are bounded by the packet filter, which is asked before a change is stored.
pub const SERVICES_PER_CIRCLE_MAX: usize = 64;

/// Most invites that are remembered. One that lets nobody in makes room for a new one.
pub const INVITES_MAX: usize = 256;

/// Most refusals that are remembered. The oldest makes room.
pub const DECLINED_MAX: usize = 256;

/// How long a No to a knock holds, in seconds.
pub const DECLINED_S: u64 = 86_400;

/// Most secrets of one circle that are kept: the present one, and what may still be in use.
pub const SECRETS_MAX: usize = planetary_circles::limits::SECRETS_KEPT;

/// Largest record, in bytes: 64 circles with a list of services for every member.
pub const FILE_LEN_MAX: u64 = 8 << 20;

/// Longest log, in bytes: 1 MiB of operations, and what is stored around them.
pub const LOG_LEN_MAX: u64 = (1 << 20) + (1 << 18);

/// Time between two writes of what packets changed, in seconds.
pub const SEEN_INTERVAL_S: u64 = super::friends::SEEN_INTERVAL_S;

/// The folder of logs, in the state folder.
const LOGS: &str = "circles";

/// See the module. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Circles {
    circles: BTreeMap<CircleId, Circle>,
    /// By number.
    invites: BTreeMap<u64, Invite>,
    invites_made: u64,
    declined: Vec<Declined>,
    seen: BTreeMap<NodeKey, u64>,
}

/// What this computer says about one circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circle {
    /// What its members may reach here.
    pub access: CircleAccess,
    /// What single members may reach besides, sorted; none of them empty.
    #[serde(with = "keyed")]
    pub members: BTreeMap<NodeKey, Vec<LocalService>>,
    /// When it came here.
    pub added_at: u64,
    /// Whether the person of this computer has agreed to be a member.
    pub agreed: bool,
    /// Whether the person has left, or declined.
    pub left: bool,
    /// Who invited or added this computer; `None` if it began the circle.
    pub inviter: Option<NodeKey>,
    /// The link that was followed, until the circle is here.
    pub join: Option<Join>,
    /// When another member last agreed on what is known.
    pub synced_at: Option<u64>,
    /// The latest checkpoint of the log: what is older may go some time after it was first seen.
    pub checkpoint: Option<Checkpoint>,
    /// What members alone know, the latest generation first.
    pub secrets: Vec<Secret>,
}

/// A link that was followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The circle's name as the link has it.
    pub name: FriendName,
    /// Who made the link, and lets in.
    pub inviter: NodeKey,
    /// What proves that the link is known.
    pub token: Hex<16>,
    /// When the link is over.
    pub expires: u64,
    /// What this computer calls itself.
    pub label: Option<FriendName>,
    /// How far it has come.
    pub phase: Phase,
}

/// How far a join has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody has answered yet.
    Asking,
    /// The inviter's person is asked.
    Waiting,
    /// The inviter lets this computer in.
    Welcome,
    /// The link lets nobody in.
    Refused,
    /// Its time is over.
    Expired,
}

/// A checkpoint of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The operation that is one.
    pub operation: Hex<32>,
    /// When it was first seen here.
    pub seen_at: u64,
}

/// A secret of a circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Which one, counted from 1.
    pub generation: u32,
    /// The secret.
    pub secret: Hex<32>,
}

/// An invite that this computer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The circle.
    pub circle: CircleId,
    /// The operation that says so in the circle's log.
    pub operation: Hex<32>,
    /// What the link has in it; erased once it is over or taken back. Until then a guest that was
    /// let in may ask again, because the answer was lost.
    pub token: Option<Hex<16>>,
    /// The peers in the link.
    pub peers: Vec<String>,
    /// What guests may do in the circle.
    pub role: MemberRole,
    /// How many guests it lets in.
    pub uses: u32,
    /// Whether the person is asked.
    pub asks: bool,
    /// When it was made.
    pub created_at: u64,
    /// When it is over.
    pub expires: u64,
    /// Whether it was taken back.
    pub revoked: bool,
    /// Whom it has let in.
    pub guests: Vec<NodeKey>,
    /// Whom the person has refused.
    pub refused: Vec<NodeKey>,
}

/// A knock that was answered with no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// Who knocked.
    pub key: NodeKey,
    /// At what: one protocol, one port.
    pub service: LocalService,
    /// When it was refused.
    pub at: u64,
}

/// Secret bytes: hexadecimal digits in the file, nothing in a log, erased with the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Hex<const LEN: usize>(pub [u8; LEN]);

impl<const LEN: usize> Drop for Hex<LEN> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const LEN: usize> std::fmt::Debug for Hex<LEN> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl<const LEN: usize> Serialize for Hex<LEN> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write;
        let mut digits = zeroize::Zeroizing::new(String::with_capacity(2 * LEN));
        for byte in &self.0 {
            write!(digits, "{byte:02x}").map_err(serde::ser::Error::custom)?;
        }
        serializer.serialize_str(&digits)
    }
}

impl<'de, const LEN: usize> Deserialize<'de> for Hex<LEN> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = zeroize::Zeroizing::new(String::deserialize(deserializer)?);
        let wrong = || serde::de::Error::custom(format!("not {} hexadecimal digits", 2 * LEN));
        let mut bytes = [0; LEN];
        if digits.len() != 2 * LEN {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16);
            let (high, low) = value(pair[0]).zip(value(pair[1])).ok_or_else(wrong)?;
            *byte = u8::try_from(high << 4 | low).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// Lists of key and services, because JSON names are no place for keys.
mod keyed {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Entry {
        key: NodeKey,
        services: Vec<LocalService>,
    }

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<NodeKey, Vec<LocalService>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let entries =
            map.iter().map(|(key, services)| Entry { key: *key, services: services.clone() });
        serializer.collect_seq(entries)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<NodeKey, Vec<LocalService>>, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        Ok(entries.into_iter().map(|entry| (entry.key, entry.services)).collect())
    }
}

/// The record as it is written.
#[derive(Serialize, Deserialize)]
struct Stored {
    circles: Vec<Numbered>,
    invites: Vec<NumberedInvite>,
    invites_made: u64,
    declined: Vec<Declined>,
    seen: Vec<Seen>,
}

#[derive(Serialize, Deserialize)]
struct Numbered {
    id: CircleId,
    #[serde(flatten)]
    circle: Circle,
}

#[derive(Serialize, Deserialize)]
struct NumberedInvite {
    id: u64,
    #[serde(flatten)]
    invite: Invite,
}

#[derive(Serialize, Deserialize)]
struct Seen {
    key: NodeKey,
    at: u64,
}

/// Why a change is refused, or a file is damaged. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CirclesError {
    /// No circle has the number.
    #[error("no circle here has the number {0}")]
    Unknown(CircleId),
    /// The circle is here already.
    #[error("the circle is here already")]
    Exists,
    /// The link is one of this computer's own.
    #[error("this computer made the link")]
    OwnLink,
    /// No invite has the number.
    #[error("no invite has the number {0}")]
    NoInvite(u64),
    /// A bound is reached.
    #[error("more than {0} {1}")]
    TooMany(usize, &'static str),
    /// Part of a wider service would stay open.
    #[error(transparent)]
    StillOpen(#[from] StillOpen),
    /// Something stands in the file twice.
    #[error("{0} stands there twice")]
    Twice(String),
}

impl Circle {
    /// A circle that came here: like a new friend, its members may ping and reach nothing else.
    #[must_use]
    pub fn new(added_at: u64) -> Self {
        let access =
            CircleAccess { enabled: true, echo: true, subnet: false, services: Vec::new() };
        Self {
            access,
            members: BTreeMap::new(),
            added_at,
            agreed: false,
            left: false,
            inviter: None,
            join: None,
            synced_at: None,
            checkpoint: None,
            secrets: Vec::new(),
        }
    }

    /// Remembers a secret before all others; the oldest makes room.
    pub fn keep_secret(&mut self, secret: Secret) {
        self.secrets.insert(0, secret);
        self.secrets.truncate(SECRETS_MAX);
    }

    /// What the key alone may reach.
    #[must_use]
    pub fn services_of(&self, key: &NodeKey) -> &[LocalService] {
        self.members.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// All services that somebody may reach.
    pub fn services(&self) -> impl Iterator<Item = &LocalService> {
        self.access.services.iter().chain(self.members.values().flatten())
    }

    fn check(&self) -> Result<(), CirclesError> {
        let bounds = [
            (self.access.services.len(), SERVICES_PER_CIRCLE_MAX, "services of a circle"),
            (self.members.len(), planetary_circles::limits::PEOPLE_MAX, "members with services"),
            (self.secrets.len(), SECRETS_MAX, "secrets of a circle"),
        ];
        let of_members = self
            .members
            .values()
            .map(|services| (services.len(), SERVICES_PER_PERSON_MAX, "services of a member"));
        let over = bounds.into_iter().chain(of_members).find(|(len, max, _)| len > max);
        over.map_or(Ok(()), |(_, max, what)| Err(CirclesError::TooMany(max, what)))
    }
}

impl Invite {
    /// Whether it lets guests in at this second.
    #[must_use]
    pub fn is_open(&self, unix_s: u64) -> bool {
        !self.revoked && !self.is_used() && unix_s < self.expires
    }

    /// Whether strangers who followed it are answered at this second. One that is used up is among
    /// them until its time is over: who comes late is told so, and does not ask in vain for days.
    #[must_use]
    pub fn is_answered(&self, unix_s: u64) -> bool {
        !self.revoked && unix_s < self.expires
    }

    /// Whether its token is here and of no more use.
    #[must_use]
    pub fn is_to_be_erased(&self, unix_s: u64) -> bool {
        self.token.is_some() && (self.revoked || unix_s >= self.expires)
    }

    /// Whether it has let in as many as it may.
    #[must_use]
    pub fn is_used(&self) -> bool {
        u32::try_from(self.guests.len()).is_ok_and(|used| used >= self.uses)
    }
}

impl Declined {
    /// Whether it holds at this second. One out of the future was made by a clock that was wrong.
    #[must_use]
    pub fn holds(&self, unix_s: u64) -> bool {
        self.at.abs_diff(unix_s) < DECLINED_S
    }
}

impl Circles {
    /// The circles by number.
    #[must_use]
    pub fn circles(&self) -> &BTreeMap<CircleId, Circle> {
        &self.circles
    }

    /// The invites by number.
    #[must_use]
    pub fn invites(&self) -> &BTreeMap<u64, Invite> {
        &self.invites
    }

    /// Knocks that were answered with no.
    #[must_use]
    pub fn declined(&self) -> &[Declined] {
        &self.declined
    }

    /// When something last came from a member.
    #[must_use]
    pub fn last_seen(&self, key: &NodeKey) -> Option<u64> {
        self.seen.get(key).copied()
    }

    /// A circle.
    ///
    /// # Errors
    /// [`CirclesError::Unknown`].
    pub fn circle(&self, id: &CircleId) -> Result<&Circle, CirclesError> {
        self.circles.get(id).ok_or(CirclesError::Unknown(*id))
    }

    /// A circle to change in ways that keep it within its bounds.
    ///
    /// # Errors
    /// [`CirclesError::Unknown`].
    pub fn circle_mut(&mut self, id: &CircleId) -> Result<&mut Circle, CirclesError> {
        self.circles.get_mut(id).ok_or(CirclesError::Unknown(*id))
    }

    /// Adds a circle.
    ///
    /// # Errors
    /// [`CirclesError::Exists`], [`CirclesError::TooMany`].
    pub fn add(&mut self, id: CircleId, circle: Circle) -> Result<(), CirclesError> {
        if self.circles.contains_key(&id) {
            return Err(CirclesError::Exists);
        }
        if self.circles.len() >= CIRCLES_MAX {
            return Err(CirclesError::TooMany(CIRCLES_MAX, "circles"));
        }
        circle.check()?;
        self.circles.insert(id, circle);
        Ok(())
    }

    /// Removes a circle with its invites.
    ///
    /// # Errors
    /// [`CirclesError::Unknown`].
    pub fn remove(&mut self, id: &CircleId) -> Result<Circle, CirclesError> {
        self.invites.retain(|_, invite| invite.circle != *id);
        self.circles.remove(id).ok_or(CirclesError::Unknown(*id))
    }

    /// Changes what a circle may reach.
    ///
    /// # Errors
    /// [`CirclesError`].
    pub fn change_access(
        &mut self,
        id: &CircleId,
        change: &CircleAccessChange,
    ) -> Result<(), CirclesError> {
        let mut circle = self.circle(id)?.clone();
        let access = &mut circle.access;
        friends::deny(&mut access.services, &change.deny)?;
        friends::allow(&mut access.services, &change.allow);
        access.enabled = change.enabled.unwrap_or(access.enabled);
        access.echo = change.echo.unwrap_or(access.echo);
        access.subnet = change.subnet.unwrap_or(access.subnet);
        circle.check()?;
        self.circles.insert(*id, circle);
        Ok(())
    }

    /// Changes what a member alone may reach.
    ///
    /// # Errors
    /// [`CirclesError`].
    pub fn change_member(
        &mut self,
        id: &CircleId,
        key: &NodeKey,
        allow: &[LocalService],
        deny: &[LocalService],
    ) -> Result<(), CirclesError> {
        let mut circle = self.circle(id)?.clone();
        let mut services = circle.members.remove(key).unwrap_or_default();
        friends::deny(&mut services, deny)?;
        friends::allow(&mut services, allow);
        if !services.is_empty() {
            circle.members.insert(*key, services);
        }
        circle.check()?;
        self.circles.insert(*id, circle);
        Ok(())
    }

    /// Adds an invite and returns its number. An invite that lets nobody in makes room.
    ///
    /// # Errors
    /// [`CirclesError::TooMany`] while all of them are open.
    pub fn add_invite(&mut self, invite: Invite, unix_s: u64) -> Result<u64, CirclesError> {
        if self.invites.len() >= INVITES_MAX {
            let closed = self.invites.iter().find(|(_, invite)| !invite.is_open(unix_s));
            let closed = closed.map(|(number, _)| *number);
            let closed = closed.ok_or(CirclesError::TooMany(INVITES_MAX, "open invites"))?;
            self.invites.remove(&closed);
        }
        self.invites_made += 1;
        self.invites.insert(self.invites_made, invite);
        Ok(self.invites_made)
    }

    /// An invite to change.
    ///
    /// # Errors
    /// [`CirclesError::NoInvite`].
    pub fn invite_mut(&mut self, number: u64) -> Result<&mut Invite, CirclesError> {
        self.invites.get_mut(&number).ok_or(CirclesError::NoInvite(number))
    }

    /// The invite that an operation made, with its number.
    #[must_use]
    pub fn invite_of(&self, operation: &[u8; 32]) -> Option<(u64, &Invite)> {
        let mut all = self.invites.iter();
        let found = all.find(|(_, invite)| invite.operation.0 == *operation);
        found.map(|(number, invite)| (*number, invite))
    }

    /// Changes the invite that an operation made, if it is here.
    pub fn update_invite(&mut self, operation: &[u8; 32], update: impl FnOnce(&mut Invite)) {
        let mut all = self.invites.values_mut();
        all.find(|invite| invite.operation.0 == *operation).map(update);
    }

    /// Erases the tokens of invites that are over or taken back. Returns whether there were any.
    pub fn erase_tokens(&mut self, unix_s: u64) -> bool {
        let mut erased = false;
        for invite in self.invites.values_mut() {
            if invite.is_to_be_erased(unix_s) {
                invite.token = None;
                erased = true;
            }
        }
        erased
    }

    /// Remembers that a knock was answered with no.
    pub fn decline(&mut self, declined: Declined) {
        let (now, same) = (declined.at, (declined.key, declined.service));
        self.declined.retain(|one| one.holds(now) && (one.key, one.service) != same);
        if self.declined.len() >= DECLINED_MAX {
            self.declined.remove(0);
        }
        self.declined.push(declined);
    }

    /// Remembers that something came from a member. Returns whether that is news.
    pub fn see(&mut self, key: NodeKey, unix_s: u64) -> bool {
        let seen = self.seen.entry(key).or_default();
        let is_news = *seen < unix_s;
        *seen = unix_s.max(*seen);
        is_news
    }

    /// Forgets keys that are members of no circle: when they were seen, and what they alone might
    /// reach. `members` has the members of each circle, and of a circle without a log nothing.
    pub fn keep_members(&mut self, is_member: impl Fn(&CircleId, &NodeKey) -> bool) {
        for (id, circle) in &mut self.circles {
            circle.members.retain(|key, _| is_member(id, key));
        }
        let circles: Vec<CircleId> = self.circles.keys().copied().collect();
        self.seen.retain(|key, _| circles.iter().any(|id| is_member(id, key)));
    }
}

impl TryFrom<Stored> for Circles {
    type Error = CirclesError;

    fn try_from(stored: Stored) -> Result<Self, CirclesError> {
        let mut all = Self { invites_made: stored.invites_made, ..Self::default() };
        for Numbered { id, circle } in stored.circles {
            all.add(id, circle)?;
        }
        for NumberedInvite { id, invite } in stored.invites {
            if all.invites.insert(id, invite).is_some() {
                return Err(CirclesError::Twice(format!("the invite {id}")));
            }
            all.invites_made = all.invites_made.max(id);
        }
        let bounds = [
            (all.invites.len(), INVITES_MAX, "invites"),
            (stored.declined.len(), DECLINED_MAX, "refusals"),
            (stored.seen.len(), planetary_circles::limits::PEOPLE_MAX, "members"),
        ];
        if let Some((_, max, what)) = bounds.into_iter().find(|(len, max, _)| len > max) {
            return Err(CirclesError::TooMany(max, what));
        }
        all.declined = stored.declined;
        all.seen = stored.seen.into_iter().map(|seen| (seen.key, seen.at)).collect();
        Ok(all)
    }
}

impl From<Circles> for Stored {
    fn from(all: Circles) -> Self {
        let circles = all.circles.into_iter().map(|(id, circle)| Numbered { id, circle });
        let invites = all.invites.into_iter().map(|(id, invite)| NumberedInvite { id, invite });
        let seen = all.seen.into_iter().map(|(key, at)| Seen { key, at });
        Self {
            circles: circles.collect(),
            invites: invites.collect(),
            invites_made: all.invites_made,
            declined: all.declined,
            seen: seen.collect(),
        }
    }
}

impl Record for Circles {
    const FILE_NAME: &'static str = "circles.json";
    const LEN_MAX: u64 = FILE_LEN_MAX;
}

/// Keeps `circles.json` and the folder of logs.
#[derive(Debug)]
pub struct CirclesKeeper {
    path: PathBuf,
    logs: PathBuf,
    /// What the record holds, but for what packets changed.
    stored: Circles,
    /// Whether packets changed something since the record was written.
    seen: bool,
    /// When it was last written for what packets changed.
    seen_stored_at: u64,
    /// Whether a damaged record is still in the place of the good one.
    obstructed: bool,
}

/// What was read at start.
#[derive(Debug)]
pub struct LoadedCircles {
    /// The keeper.
    pub keeper: CirclesKeeper,
    /// The logs that are whole as files, by number.
    pub logs: BTreeMap<CircleId, Vec<u8>>,
    /// What was wrong with files.
    pub damage: Vec<Damage>,
}

/// Why something could not be stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A damaged file could not be set aside and must not be overwritten.
    #[error("{} is damaged and in the way; move it away and restart the service", .0.display())]
    Obstructed(PathBuf),
    /// The file would be larger than is ever read.
    #[error("what is to be kept of circles is longer than {0} bytes")]
    TooLong(u64),
    /// The system refused.
    #[error("the circles cannot be stored: {0}")]
    System(#[from] io::Error),
}

impl CirclesKeeper {
    /// Reads the record and all logs; without files there are no circles. Logs of circles that the
    /// record does not know are taken up without rights.
    ///
    /// # Errors
    /// [`RecordError`]; the service must not start then.
    pub fn load(dir: &StateDir, unix_s: u64) -> Result<LoadedCircles, RecordError> {
        let Loaded { record, damage } = record::load::<Circles>(dir, unix_s)?;
        let mut keeper = Self {
            path: dir.path().join(Circles::FILE_NAME),
            logs: dir.path().join(LOGS),
            stored: record,
            seen: false,
            seen_stored_at: unix_s,
            obstructed: damage.as_ref().is_some_and(|damage| damage.kept.is_err()),
        };
        let mut damage: Vec<Damage> = damage.into_iter().collect();
        let mut logs = BTreeMap::new();
        atomic::remove_leftovers(&keeper.logs);
        for id in keeper.listed() {
            let path = keeper.log_path(&id);
            match read_bounded(&path, LOG_LEN_MAX) {
                Ok(bytes) => {
                    logs.insert(id, bytes);
                }
                Err(ReadError::Missing) => {}
                Err(source @ ReadError::System(_)) => {
                    return Err(RecordError::Unreadable { path, source });
                }
                Err(odd) => damage.push(keeper.set_log_aside(&id, odd.to_string(), unix_s)),
            }
        }
        for id in logs.keys() {
            // A folder with more logs than there may be circles is somebody else's work.
            let _ = keeper.stored.add(*id, Circle::new(unix_s));
        }
        Ok(LoadedCircles { keeper, logs, damage })
    }

    /// What is stored.
    #[must_use]
    pub fn circles(&self) -> &Circles {
        &self.stored
    }

    /// Stores `circles` in the place of what was.
    ///
    /// # Errors
    /// [`StoreError`]; the old file and the old circles are in place then.
    pub fn store(&mut self, circles: Circles) -> Result<(), StoreError> {
        if self.obstructed {
            return Err(StoreError::Obstructed(self.path.clone()));
        }
        let text = zeroize::Zeroizing::new(record::to_text(&circles).map_err(io::Error::from)?);
        if u64::try_from(text.len()).is_ok_and(|len| len > FILE_LEN_MAX) {
            return Err(StoreError::TooLong(FILE_LEN_MAX));
        }
        atomic::replace(&OsDisk, &self.path, text.as_bytes(), atomic::PRIVATE)?;
        self.stored = circles;
        self.seen = false;
        Ok(())
    }

    /// Stores the log of a circle.
    ///
    /// # Errors
    /// [`StoreError`]; the old file is in place then.
    pub fn store_log(&self, id: &CircleId, bytes: &[u8]) -> Result<(), StoreError> {
        if u64::try_from(bytes.len()).is_ok_and(|len| len > LOG_LEN_MAX) {
            return Err(StoreError::TooLong(LOG_LEN_MAX));
        }
        make_private_dir(&self.logs)?;
        Ok(atomic::replace(&OsDisk, &self.log_path(id), bytes, atomic::PRIVATE)?)
    }

    /// Removes the log of a circle; one that is not there is removed.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove_log(&self, id: &CircleId) -> io::Result<()> {
        match fs::remove_file(self.log_path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Sets a damaged log aside, and pauses its circle here.
    #[must_use]
    pub fn set_log_aside(&mut self, id: &CircleId, reason: String, unix_s: u64) -> Damage {
        if let Ok(circle) = self.stored.circle_mut(id) {
            circle.access.enabled = false;
            // Else a crash before the next write would open again what was shut.
            self.seen = true;
            let _ = self.settle(unix_s);
        }
        let path = self.log_path(id);
        let kept = set_aside(&path, unix_s);
        Damage { path, reason, kept }
    }

    /// Remembers what packets changed, and writes it if that was not done for ten minutes.
    ///
    /// # Errors
    /// [`StoreError`]; it is tried again after ten further minutes.
    pub fn see(
        &mut self,
        unix_s: u64,
        change: impl FnOnce(&mut Circles) -> bool,
    ) -> Result<(), StoreError> {
        self.seen |= change(&mut self.stored);
        // A clock that was set back counts as well.
        if unix_s.abs_diff(self.seen_stored_at) < SEEN_INTERVAL_S {
            return Ok(());
        }
        self.settle(unix_s)
    }

    /// Writes what packets changed since the last write, if anything.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn settle(&mut self, unix_s: u64) -> Result<(), StoreError> {
        self.seen_stored_at = unix_s;
        if self.obstructed || !self.seen {
            return Ok(());
        }
        self.store(self.stored.clone())
    }

    /// The circles that the record or the folder knows.
    fn listed(&self) -> Vec<CircleId> {
        let entries = fs::read_dir(&self.logs).into_iter().flatten().flatten();
        let named = entries.filter_map(|entry| {
            entry.file_name().to_str()?.strip_suffix(".log")?.parse::<CircleId>().ok()
        });
        let mut all: Vec<_> = self.stored.circles.keys().copied().chain(named).collect();
        all.sort();
        all.dedup();
        all.truncate(2 * CIRCLES_MAX);
        all
    }

    fn log_path(&self, id: &CircleId) -> PathBuf {
        self.logs.join(Path::new(&format!("{id}.log")))
    }
}

#[cfg(test)]
#[path = "circles_tests.rs"]
mod tests;
