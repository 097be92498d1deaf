//! Every bound of the filter and of circles: value, reason, and what happens there.
//!
//! Source: `research/beyond.md` sections 4.1 and 4.3, except where a constant says otherwise.

use planetary_proto::{
    limits::{Rate, SESSIONS_MAX},
    time::Duration,
    upper::ExtensionMessage,
};

/// Flows in all, some 7 MB. A busy desktop has hundreds, a small server thousands. At the bound the
/// flow makes room that was used least recently among those that nobody answered; without one, the
/// new flow is refused.
pub const FLOWS_MAX: u32 = 65_536;
/// Of these, flows that others opened: however many keys a flood has, half of the table is for what
/// this machine opens.
pub const FLOWS_INBOUND_MAX: u32 = FLOWS_MAX / 2;
/// Flows with one key, whoever opened them. One friend fills a thirty-second of the table.
pub const FLOWS_PER_KEY_MAX: u32 = 2_048;
/// Of these, flows that the key opened.
pub const FLOWS_PER_KEY_INBOUND_MAX: u32 = FLOWS_PER_KEY_MAX / 2;
/// Flows that a shard may hold when all others have used up the rest: enough to work with, and a
/// small part of the whole. Half of them may be opened by others.
pub const FLOWS_PER_SHARD_KEPT: u32 = 128;
/// Keys that a shard remembers, each with flows or until shortly after. There are no more sessions
/// than this; a new flow with a further key is refused.
pub const KEYS_PER_SHARD_MAX: usize = SESSIONS_MAX;
/// A key without flows is remembered so long, until [`ECHO_RATE`] has nothing to remember.
pub const KEY_IDLE: Duration = Duration::from_secs(2);

/// TCP: opened and not yet confirmed by whoever opened it. Systems give up after about a minute of
/// repetitions, each of which begins this time anew.
pub const TCP_OPENING_TIMEOUT: Duration = Duration::from_secs(60);
/// TCP: both sides have spoken. Systems ask an idle connection for a sign of life after exactly two
/// hours, which must not come too late: RFC 5382 has four minutes more.
pub const TCP_ESTABLISHED_TIMEOUT: Duration = Duration::from_secs(2 * 3600 + 4 * 60);
/// TCP: one side has finished.
pub const TCP_FINISHING_TIMEOUT: Duration = Duration::from_secs(120);
/// TCP: both have finished, or one has reset. Counts from that moment, whatever comes after: time
/// for last acknowledgements, not a hole to be kept open.
pub const TCP_CLOSED_TIMEOUT: Duration = Duration::from_secs(10);
/// UDP without an answer.
pub const UDP_ONE_WAY_TIMEOUT: Duration = Duration::from_secs(30);
/// UDP with an answer.
pub const UDP_BOTH_WAYS_TIMEOUT: Duration = Duration::from_secs(180);
/// ICMPv6 echo, by identifier.
pub const ECHO_TIMEOUT: Duration = Duration::from_secs(30);
/// Other protocols.
pub const OTHER_TIMEOUT: Duration = Duration::from_secs(60);
/// Later fragments are let through so long after the first.
pub const FRAGMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Packets in fragments that are under way from or to one key, each way. Fragments of a packet come
/// one after the other, so more than one or two means that last ones were lost. The oldest makes
/// room.
pub const FRAGMENTED_PER_KEY_MAX: usize = 16;
/// Extension headers of a packet. Real ones have one or two; more drop the packet.
pub const EXTENSIONS_MAX: usize = 8;
/// Bytes of extension headers of a packet. More drop it.
pub const EXTENSION_BYTES_MAX: usize = 256;

/// Echo requests of one key that are let in. More are dropped.
pub const ECHO_RATE: Rate = Rate { per_s: 10, burst: 10 };
/// Refused packets of friends, per shard, that are answered; each answer costs a sealing. Those
/// beyond it are dropped in silence, and their programs wait for their own time-outs.
pub const ANSWER_RATE: Rate = Rate { per_s: 50, burst: 100 };

/// A question whether somebody may reach something is open so long: TCP has by then tried five
/// times, and its program still waits.
pub const KNOCK_OPEN: Duration = Duration::from_secs(30);
/// After a yes for once, flows may be opened for so long: a program that has given up is started
/// again in this time.
pub const KNOCK_GRANT: Duration = Duration::from_secs(60);
/// After a no, or none at all, the same service is not asked about for so long. Who asks remembers
/// a no for longer ([`Person::declined`](crate::Person::declined)); this covers what is still under
/// way.
pub const KNOCK_QUIET: Duration = Duration::from_secs(60);
/// Questions about one key in [`KNOCK_PERIOD`]. What comes beyond them is refused.
pub const KNOCKS_PER_PERIOD: usize = 3;
/// See [`KNOCKS_PER_PERIOD`].
pub const KNOCK_PERIOD: Duration = Duration::from_secs(3600);
/// Keys with questions in the last hour that a shard remembers: more than anybody wants to be asked
/// about. Those of a further one are refused.
pub const KNOCKERS_PER_SHARD_MAX: usize = 256;
/// Notices that a shard keeps until they are fetched, four times a second. Further ones are lost;
/// a question that would not be heard of is not opened.
pub const NOTICES_PER_SHARD_MAX: usize = 64;

/// People that the rules know: 64 circles of 256 members, and as many friends again.
pub const PEOPLE_MAX: usize = 32_768;
/// Keys that are blocked.
pub const BLOCKED_MAX: usize = 32_768;
/// Rules for circles and for everyone. A new flow may look at each of them once.
pub const RULES_MAX: usize = 1_024;
/// Services that one person may reach besides those of circles.
pub const SERVICES_PER_PERSON_MAX: usize = 256;
/// Services that are not asked about again for one person. At three questions an hour, a day has
/// fewer.
pub const DECLINED_PER_PERSON_MAX: usize = 256;

/// Characters of a name, of a circle or of a member: as many as a friend's name has.
pub const LABEL_CHARS_MAX: usize = 48;
/// Characters of the reason for a removal.
pub const REASON_CHARS_MAX: usize = 64;
/// Bytes of the body of an operation. Longer ones are refused.
pub const BODY_LEN_MAX: usize = 1_024;
/// Bytes of a whole operation.
pub const OPERATION_LEN_MAX: usize = OPERATION_HEAD_LEN + BODY_LEN_MAX + OPERATION_TAIL_LEN;
/// Bytes of an operation before its body.
pub const OPERATION_HEAD_LEN: usize = 5 + 32 + 32 + 4 + 32 + 1 + 2;
/// Bytes of an operation behind its body: the signature.
pub const OPERATION_TAIL_LEN: usize = 64;
/// Those with whom a circle begins.
pub const SENIORS_MAX: usize = 4;
/// Members of a circle, those among them that have not agreed yet. No more are added; if two admins
/// add at one time, those with the highest ranks are left out.
pub const MEMBERS_MAX: usize = 256;
/// Admins of a circle, seniors among them. No more are made; two admins that make one at the same
/// time may exceed it.
pub const ADMINS_MAX: usize = 16;
/// Guests that one invite lets in.
pub const INVITE_USES_MAX: u32 = 50;
/// Services that a circle suggests.
pub const SUGGESTIONS_MAX: usize = 16;
/// Operations in a log. At the bound a log takes no more until a checkpoint makes room.
pub const OPERATIONS_MAX: usize = 4_096;
/// Bytes of the operations in a log; at the bound as with [`OPERATIONS_MAX`].
pub const LOG_LEN_MAX: usize = 1 << 20;
/// Places and, multiplied by [`OPERATION_LEN_MAX`], bytes of a log that only seniors fill: whoever
/// floods a log can still be removed, and a checkpoint still be written.
pub const OPERATIONS_OF_SENIORS: usize = 256;
/// Operations in a log whose author nobody in it has added: they came before what adds him, or are
/// a flood. At the bound further ones are refused, and may come again later.
pub const OPERATIONS_OF_STRANGERS_MAX: usize = 64;
/// How far ahead of what is known of its author an operation may be, so as to be kept until what
/// lies between has come.
pub const SEQUENCE_GAP_MAX: u32 = 256;
/// Operations from which on a senior's node writes a checkpoint.
pub const CHECKPOINT_FROM: usize = 3_000;
/// Bytes of the state of a checkpoint in one operation.
pub const CHECKPOINT_PART_LEN: usize = 1_000;
/// Operations of one checkpoint, enough for 256 members and 1,000 authors. A log whose state is
/// longer gets none.
pub const CHECKPOINT_PARTS_MAX: usize = 128;
/// A checkpoint of this age lets what is older go: whoever was away for less finds every operation.
pub const CHECKPOINT_AGE: Duration = Duration::from_secs(14 * 86_400);

/// Bytes of a message about a circle. Longer ones are refused.
pub const MESSAGE_BODY_MAX: usize = ExtensionMessage::BODY_MAX;
/// Heads in a message, some 24 bytes each. A log of more authors is compared in several messages.
pub const HEADS_PER_MESSAGE_MAX: usize = 256;
/// Operations in a message; usual ones are 300 bytes.
pub const OPERATIONS_PER_MESSAGE_MAX: usize = 32;
/// Bytes of operations in a message, so that what stands around them has room.
pub const OPERATIONS_BYTES_PER_MESSAGE_MAX: usize = 7 * 1024;

/// Circles that a node takes part in or has been invited to, those that it has left included: as
/// many as the filter has bits. Further ones are refused.
pub const CIRCLES_MAX: usize = 64;
/// Circles that others have added this node to without its asking and that nobody has agreed to
/// yet. Further offers are not heard.
pub const OFFERS_MAX: usize = 8;
/// Links that are followed at one time.
pub const JOINS_MAX: usize = 16;
/// Invites of this node that can still let somebody in. No more are made.
pub const INVITES_MAX: usize = 256;
/// Invites that are kept, those that are over among them. At the bound the one that was over first
/// is forgotten.
pub const INVITES_KEPT_MAX: usize = 2 * INVITES_MAX;
/// Guests of one invite that a person has refused. Further ones are refused without a question.
pub const DECLINED_PER_INVITE_MAX: usize = 64;
/// Guests that wait for a person. Further ones wait without a question until there is room.
pub const GUESTS_WAITING_MAX: usize = 64;
/// Keys whose secret shared with this node is kept. At the bound all are computed anew.
pub const PAIRS_MAX: usize = 1_024;
/// Requests about circles that wait for an answer, an eighth of what a node keeps for all purposes.
/// Further ones wait for their turn.
pub const ASKED_MAX: usize = 32;

/// Messages of one comparison with a member. Even a full log takes no more.
pub const TALK_ROUNDS_MAX: u16 = 1_024;

/// Who was heard within this time is online.
pub const ONLINE_FOR: Duration = Duration::from_secs(60);
/// Members compare what they have at least so often, with one of those that are online.
pub const ROUND: Duration = Duration::from_secs(600);
/// First pause between attempts to find any member; doubles up to [`ROUND`].
pub const SEARCH_FIRST: Duration = Duration::from_secs(30);
/// A node that was removed asks members at least so often whether it still is.
pub const LOOK_BACK_MAX: Duration = Duration::from_secs(86_400);
/// Members that are tried at each attempt, and to which what came from others is passed on.
pub const FANOUT: usize = 3;
/// What came from others is passed on within this time: long enough for the author's own message.
pub const PASS_ON_WITHIN: Duration = Duration::from_secs(4);
/// A node that has just started writes nothing for so long, unless it has compared with another
/// member: a restored backup may not know its own latest operations, and writing others under their
/// numbers would void both.
pub const SETTLE_FOR: Duration = Duration::from_secs(30);
/// Operations of one author that are taken in an hour. Later ones come with a later comparison.
pub const OPERATIONS_PER_HOUR: u64 = 64;
/// Operations of one author that are taken at once, after days of absence.
pub const OPERATIONS_BURST: u64 = 256;
/// A member that sent what was no operation is not listened to for so long.
pub const FAULTY_FOR: Duration = Duration::from_secs(600);
/// An offer, and word of a removal, is repeated after these times until it was heard.
pub const TELL_AGAIN: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_secs(300),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
    Duration::from_secs(24 * 3_600),
];
/// A guest asks every five seconds for a minute, …
pub const JOIN_OFTEN: Duration = Duration::from_secs(5);
/// … every half a minute for ten minutes, …
pub const JOIN_SELDOM: Duration = Duration::from_secs(30);
/// … and then so often until its link is over.
pub const JOIN_RARELY: Duration = Duration::from_secs(300);
/// Attempts in vain to fetch a log, ever longer apart, before it is left to a new link or offer.
pub const PULL_TRIES_MAX: u32 = 6;
/// Secrets of a circle that are kept: the latest and those before it.
pub const SECRETS_KEPT: usize = 3;

const _: () = {
    assert!(CHECKPOINT_FROM + OPERATIONS_OF_SENIORS < OPERATIONS_MAX);
    assert!(OPERATIONS_OF_SENIORS * OPERATION_LEN_MAX < LOG_LEN_MAX / 2);
    assert!(BODY_LEN_MAX <= u16::MAX as usize);
    assert!(CHECKPOINT_PART_LEN + 24 <= BODY_LEN_MAX);
    assert!(CHECKPOINT_PARTS_MAX <= OPERATIONS_OF_SENIORS);
    // Heads are 24 bytes, and what stands around lists is less than half a kilobyte.
    assert!(HEADS_PER_MESSAGE_MAX * 24 + 512 < MESSAGE_BODY_MAX);
    assert!(OPERATIONS_BYTES_PER_MESSAGE_MAX + 512 < MESSAGE_BODY_MAX);
    assert!(OPERATION_LEN_MAX < OPERATIONS_BYTES_PER_MESSAGE_MAX);
    assert!(OFFERS_MAX < CIRCLES_MAX && JOINS_MAX < CIRCLES_MAX);
    assert!(SETTLE_FOR.as_secs() >= SEARCH_FIRST.as_secs());
    assert!(FLOWS_PER_KEY_MAX < FLOWS_INBOUND_MAX);
    assert!(FLOWS_PER_SHARD_KEPT < FLOWS_PER_KEY_INBOUND_MAX);
    assert!(TCP_CLOSED_TIMEOUT.as_secs() < TCP_OPENING_TIMEOUT.as_secs());
    assert!(UDP_ONE_WAY_TIMEOUT.as_secs() < UDP_BOTH_WAYS_TIMEOUT.as_secs());
    assert!(EXTENSION_BYTES_MAX >= 8 * EXTENSIONS_MAX);
    // The bucket of a forgotten key is full, as that of a new one.
    assert!(KEY_IDLE.as_secs() * ECHO_RATE.per_s as u64 >= ECHO_RATE.burst as u64);
};
