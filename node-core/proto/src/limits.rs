//! Every bound of the core: value, reason, and what happens there.
//!
//! Numbers that the network fixes say so; all others may change freely.

use crate::time::Duration;

/// Largest length field of a frame (type byte and body). Fixed by the network; a longer frame
/// closes the link.
pub const FRAME_LEN_MAX: usize = 131_070;
/// Bytes of a frame's length field at most: [`FRAME_LEN_MAX`] has 17 bits. Long forms add more, so
/// readers allow ten.
pub const FRAME_PREFIX_MAX: usize = 3;
/// Largest packet that the overlay carries, the MTU offered to IPv6. Fixed by the network.
pub const MTU_MAX: usize = 65_535;
/// Smallest MTU that IPv6 allows.
pub const MTU_MIN: usize = 1_280;

/// Links at once. A link costs a thread, two queues and its tree state; further ones are closed
/// after the handshake.
pub const LINKS_MAX: usize = 4_096;
/// Known tree edges. Enough for the ancestries of [`LINKS_MAX`] neighbours in a network of
/// millions; beyond it, edges that are in nobody's ancestry go first, then new ones are ignored.
pub const INFOS_MAX: usize = 65_536;
/// Ports in the coordinates of a node that we keep a path to or choose as a parent. Deeper ones are
/// ignored: no sane tree is that deep, and every step costs time in each round of maintenance.
pub const COORDS_MAX: usize = 512;
/// Paths known at once, 60 s each. The one that expires first makes room.
pub const PATHS_MAX: usize = 16_384;
/// Lookups under way at once. The oldest makes room.
pub const LOOKUPS_MAX: usize = 4_096;
/// Sessions at once. Beyond it new ones are refused until one expires: an attacker must not push
/// out those in use.
pub const SESSIONS_MAX: usize = 16_384;
/// Closed groups that a node is in. Each is a line in a configuration that a person keeps.
pub const GROUPS_MAX: usize = 64;
/// Keys of all groups together. Beyond either number the configuration is refused.
pub const GROUP_KEYS_MAX: usize = 4_096;
/// Outgoing packets that wait for a lookup or a handshake, for one destination. The oldest goes
/// first.
pub const WAITING_PACKETS_MAX: usize = 16;
/// Bytes of waiting packets for one destination: two packets of full size, or many small ones.
pub const WAITING_BYTES_MAX: usize = 2 * MTU_MAX;
/// Destinations with waiting packets at once. The oldest destination goes first.
pub const WAITING_DESTINATIONS_MAX: usize = 256;
/// In-band requests of ours without an answer.
pub const REQUESTS_MAX: usize = 256;
/// Node info in bytes. Fixed by the network.
pub const NODE_INFO_MAX: usize = 16_384;
/// Bytes of keys in one debug answer. Fixed by the network: 2,047 keys and two bytes of head.
pub const DEBUG_ANSWER_MAX: usize = MTU_MAX;

/// Own edge: announced anew this long after its last change. Fixed: others forget it after
/// [`INFO_TIMEOUT`].
pub const INFO_REFRESH: Duration = Duration::from_secs(4 * 60);
/// Foreign edge: forgotten this long after its last change. Fixed by the network.
pub const INFO_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// A node that lost its parent and has no other waits this long for an answer that is under way
/// before it becomes a root. A second covers a round trip anywhere on Earth several times.
pub const ROOT_DELAY: Duration = Duration::from_secs(1);
/// So long it waits when no answer is under way: a link that was merely reset is dialled again in
/// this time, and everything below this node is spared a change of place, and another one back.
pub const REDIAL_DELAY: Duration = Duration::from_millis(250);
/// A reluctant node answers a request for its signature this late: well above what links differ by,
/// so that it is chosen when there is nothing better, and well below [`ROOT_DELAY`] and the second
/// after which a stock node makes itself a root, so that it can be chosen at all.
pub const RELUCTANCE: Duration = Duration::from_millis(300);
/// A node whose parent is suspect, without another in sight, becomes a root at once so that those
/// below it look for other ways, but only so often: each time may move them all.
pub const FORSAKE_GAP: Duration = Duration::from_secs(60);
/// A node with sessions in use asks its parent for a sign of life this often. Whoever sends notices
/// within [`PEER_TIMEOUT`] that a line is cut; a node that only receives would not, and would stay
/// below a parent that has long given it up.
pub const PARENT_CHECK: Duration = Duration::from_secs(1);
/// A node without sessions in use asks this often: somebody may be about to call it.
pub const PARENT_CHECK_IDLE: Duration = Duration::from_secs(20);
/// Changes of one burst are worked off together: maintenance runs at most once in this time.
pub const MAINTENANCE_GAP: Duration = Duration::from_millis(10);
/// Own announcements: a burst follows a merge of trees, then one a second, so that a flapping
/// neighbour is not amplified.
pub const REPARENT_RATE: Rate = Rate { per_s: 1, burst: 8 };
/// When a change of the own edge that came too early is tried again.
pub const REPARENT_GAP: Duration = Duration::from_secs(1);
/// Bits that vanished from a filter are sent after this long, so that a neighbour that reconnects
/// costs nothing.
pub const FILTER_SHRINK_DELAY: Duration = Duration::from_secs(2);
/// Filters sent to one neighbour: a burst while a network settles, then two a second.
pub const FILTER_SEND_RATE: Rate = Rate { per_s: 2, burst: 8 };
/// An unchanged filter is sent again after an hour, as a repair.
pub const FILTER_RESEND: Duration = Duration::from_secs(3600);

/// Paths and lookups are forgotten after this long without a sign of use.
pub const PATH_TIMEOUT: Duration = Duration::from_secs(60);
/// Lookups for one destination come at most this often. The network asks for a second at least.
pub const LOOKUP_GAP: Duration = Duration::from_secs(1);
/// A lookup with packets waiting is repeated this often at most (every [`LOOKUP_GAP`] doubling).
pub const LOOKUP_RETRIES: u32 = 5;
/// A node that moves tells so many far ends of its sessions at most, those heard last; the others
/// look it up when a packet gets stuck.
pub const MOVE_TOLD_MAX: usize = 256;
/// A node that moves tells so a moment later: its neighbours must have worked the move in, or they
/// pass the word back to where it came from.
pub const MOVE_DELAY: Duration = Duration::from_millis(30);
/// How often it tells: a few moves in a row while the tree settles, then one a second.
pub const MOVE_RATE: Rate = Rate { per_s: 1, burst: 4 };
/// Session without a received packet: forgotten. Handshake without an answer: likewise.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// After this long without a received packet, a session in which something is said is looked after,
/// so that the answer comes before [`SESSION_TIMEOUT`].
pub const SESSION_FADING: Duration = Duration::from_secs(45);
/// The same for who has called the other.
pub const CALLER_FADING: Duration = Duration::from_secs(40);
/// And again after each of these.
pub const FADING_GAP: Duration = Duration::from_secs(5);
/// Destinations that are kept warm, at two handshake messages of some 300 bytes every
/// [`CALLER_FADING`] each: 50 kB an hour. Friends and those used last stay.
pub const WARM_MAX: usize = 32;
/// A friend is kept warm for so long after something was last said to it.
pub const WARM_TIME: Duration = Duration::from_secs(24 * 3600);
/// Others are for so long: a service that is visited by thousands has to answer them all.
pub const WARM_TIME_OTHERS: Duration = Duration::from_secs(2 * 3600);
/// Where one destination has to be kept warm, all that have been silent for so long are, too, so
/// that a machine at rest wakes once for all of them.
pub const WARM_ALONG: Duration = Duration::from_secs(25);
/// A warm destination that does not answer is looked for after this long, then after double of it,
/// and so on.
pub const WARM_RETRY: Duration = Duration::from_secs(60);
/// At least this often.
pub const WARM_RETRY_MAX: Duration = Duration::from_secs(3600);
/// Ratchet steps are at least this far apart. Fixed by the network as "more than 60 s".
pub const RATCHET_GAP: Duration = Duration::from_secs(60);
/// Inits to one key come at most this often.
pub const INIT_GAP: Duration = Duration::from_millis(500);
/// An unanswered Init is repeated after this long while packets wait. Just above the second for
/// which a stock node that could not find its way back to us refuses to look again.
pub const INIT_RETRY: Duration = Duration::from_millis(1_100);
/// So many repetitions come at that pace, which covers the first ticks of a stock neighbour; then
/// the gap doubles each time.
pub const INIT_RETRIES_STEADY: u32 = 4;
/// Key table entry and packets that wait for a key.
pub const KEY_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// In-band request without an answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(6);

/// Keep-alive: a received frame is answered within this time at the latest. Fixed by the network.
pub const KEEP_ALIVE_DELAY: Duration = Duration::from_secs(1);
/// A link that owes an answer for this long is closed. Fixed by the network as "at least 3 s".
pub const PEER_TIMEOUT: Duration = Duration::from_secs(3);
/// A link that owes an answer for this long, plus [`SUSPECT_ROUND_TRIPS`], is no longer routed
/// over.
pub const SUSPECT_BASE: Duration = KEEP_ALIVE_DELAY;
/// Round trips added to [`SUSPECT_BASE`].
pub const SUSPECT_ROUND_TRIPS: u32 = 4;
/// Smallest time before a link is suspect: leaves half a second to a busy machine.
pub const SUSPECT_MIN: Duration = Duration::from_millis(1500);

/// Requests per second and link that are answered with a signature, and how many may come at once.
pub const SIG_REQ_RATE: Rate = Rate { per_s: 20, burst: 100 };
/// Announcements per second and link; each costs two verifications. Beyond it the link is closed:
/// dropping one silently would leave the neighbour believing that we have it.
pub const ANNOUNCE_RATE: Rate = Rate { per_s: 300, burst: 6_000 };
/// Lookups, answers and broken-path notes per second and link that are handled; more are dropped.
pub const LOOKUP_RATE: Rate = Rate { per_s: 500, burst: 2_000 };
/// Broken-path notes that this node writes per second.
pub const BROKEN_RATE: Rate = Rate { per_s: 50, burst: 100 };
/// Session handshakes that are checked per second, all senders together; each costs a key agreement
/// and a verification.
pub const HANDSHAKE_RATE: Rate = Rate { per_s: 300, burst: 600 };
/// Guests at once: strangers that may say who they are. Beyond it their greetings are ignored.
pub const GUESTS_MAX: usize = 32;
/// A guest's session ends after this time, whatever it says: enough for a few round trips and for a
/// person's first look, too short to live in.
pub const GUEST_TIME: Duration = Duration::from_secs(30);
/// Greetings of one guest that are opened: one in this time.
pub const GUEST_GREETING_GAP: Duration = Duration::from_secs(1);
/// A key that this node has greeted may greet back for so long.
pub const CALLED_TIME: Duration = Duration::from_secs(60);
/// Inits sent to keys that sent us undecryptable packets, per second.
pub const STRANGER_INIT_RATE: Rate = Rate { per_s: 20, burst: 50 };
/// In-band requests answered per second and key.
pub const INBAND_RATE: Rate = Rate { per_s: 2, burst: 8 };
/// Messages between nodes of this program: bytes of one, all included. Larger ones are ignored; a
/// tenth of what a session carries in one packet, so that a bulk transfer is hardly delayed.
pub const EXTENSION_LEN_MAX: usize = 8 * 1024;
/// Requests of ours that wait for an answer. Beyond it a further one is refused to who asks.
pub const EXTENSION_REQUESTS_MAX: usize = 256;
/// A request without an answer is over after this time.
pub const EXTENSION_TIMEOUT: Duration = Duration::from_secs(8);
/// A request is said again after this long, then after double of it, and so on.
pub const EXTENSION_GAP: Duration = Duration::from_secs(1);
/// So often it is said again.
pub const EXTENSION_REPEATS: u32 = 3;
/// Far ends whose capabilities are remembered. The one learnt first makes room; it is told hello
/// again.
pub const EXTENSION_ABLE_MAX: usize = 1_024;
/// Requests of one key that are heard. More are dropped, and come again.
pub const EXTENSION_RATE: Rate = Rate { per_s: 20, burst: 40 };
/// Bytes of requests of one person: a whole circle at once, then 64 KiB a minute.
pub const EXTENSION_BYTES: Rate = Rate { per_s: 64 * 1024 / 60, burst: 1024 * 1024 };
/// Bytes of requests of one guest, whose only request fits into one message.
pub const EXTENSION_BYTES_GUEST: Rate = Rate { burst: 16 * 1024, ..EXTENSION_BYTES };
/// Requests of all guests together: whoever makes many keys gains nothing by it.
pub const EXTENSION_GUESTS_RATE: Rate = Rate { per_s: 16, burst: 64 };
/// People whose requests are metered. The one that has been quiet for longest makes room.
pub const EXTENSION_PEOPLE_MAX: usize = 1_024;
/// Guests whose requests are metered, likewise.
pub const EXTENSION_GUESTS_MAX: usize = 2 * GUESTS_MAX;
/// Keys that something is remembered of for the sake of messages: the sum of the three tables.
pub const EXTENSION_CORRESPONDENTS_MAX: usize =
    EXTENSION_ABLE_MAX + EXTENSION_PEOPLE_MAX + EXTENSION_GUESTS_MAX;
/// Packets under one key of a fast session after which the next generation is due: with packets of
/// full size, a distinguisher of AES-256-GCM still gains less than 2^-57.
pub const FAST_REKEY_PACKETS: u64 = 1 << 24;
/// Bytes under one key after which the next generation is due: 64 GiB, some 50 s at 10 Gbit/s.
pub const FAST_REKEY_BYTES: u64 = 1 << 36;
/// Keys of a fast session are replaced after this time, if the session is used.
pub const FAST_REKEY: Duration = Duration::from_secs(120);
/// Nothing is sealed any more under keys of this age; the compatible session carries on.
pub const FAST_SEAL_TIME: Duration = Duration::from_secs(180);
/// After this time all keys are forgotten. Longer than [`FAST_SEAL_TIME`], because the ends may
/// have got the keys as far apart as [`EXTENSION_TIMEOUT`].
pub const FAST_OPEN_TIME: Duration = Duration::from_secs(210);
/// What is said and heard so soon after new keys is not taken for use: it is how they were agreed
/// on. Otherwise a session that nobody uses would renew its keys for ever.
pub const FAST_SETTLING: Duration = Duration::from_secs(10);
/// A session counts as used for so long after something was said or heard in it.
pub const FAST_USE: Duration = Duration::from_secs(10);
/// Keys are ended at multiples of this time, those of all sessions together.
pub const FAST_TICK: Duration = Duration::from_secs(10);
/// A used session without fast keys, or with keys that have served their time, is looked at this
/// often.
pub const FAST_LOOK_GAP: Duration = Duration::from_secs(1);
/// An offer, or the request for one, that nobody answered is made again after this time, if the
/// session is used, then after double of it, and so on.
pub const FAST_RETRY: Duration = Duration::from_secs(30);
/// How often a node that has never answered is told hello in a session that is used, with the gaps
/// of [`FAST_RETRY`]: it may be a stock node, or one of ours that could not hear or answer.
pub const FAST_HELLOS: u32 = 4;
/// The gap of [`FAST_RETRY`] grows up to this.
pub const FAST_RETRY_MAX: Duration = Duration::from_secs(8 * 60);
/// A far end that says it has no keys is made another offer so long after the last keys at the
/// earliest: it may have said so before it had them.
pub const FAST_OFFER_GAP: Duration = Duration::from_secs(2);
/// Offers of one far end that are answered; the volume of the fastest line calls for less. An offer
/// that is repeated costs nothing. More are ignored, and come again.
pub const FAST_OFFER_RATE: Rate = Rate { per_s: 1, burst: 4 };
/// Offers of all far ends together: each costs about as much as the handshake of a session.
pub const FAST_OFFERS_RATE: Rate = Rate { per_s: 300, burst: 600 };
/// Packet-too-big answers per second.
pub const TOO_BIG_RATE: Rate = Rate { per_s: 20, burst: 50 };

/// A bound on how often something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Lasting rate.
    pub per_s: u32,
    /// How many at once after a pause.
    pub burst: u32,
}

const _: () = {
    assert!(INFO_REFRESH.as_secs() < INFO_TIMEOUT.as_secs());
    assert!(RELUCTANCE.as_millis() * 2 < ROOT_DELAY.as_millis());
    assert!(KEEP_ALIVE_DELAY.as_millis() < SUSPECT_MIN.as_millis());
    assert!(SUSPECT_MIN.as_millis() < PEER_TIMEOUT.as_millis());
    assert!(WAITING_BYTES_MAX >= MTU_MAX);
    assert!(CALLER_FADING.as_secs() < SESSION_FADING.as_secs());
    assert!(WARM_ALONG.as_secs() < CALLER_FADING.as_secs());
    // A wave reaches everybody before the next one would come too late for some.
    assert!(WARM_ALONG.as_secs() + CALLER_FADING.as_secs() > SESSION_TIMEOUT.as_secs());
    assert!(EXTENSION_LEN_MAX < MTU_MAX);
    assert!(EXTENSION_LEN_MAX < EXTENSION_BYTES_GUEST.burst as usize);
    // The last repetition leaves time for its answer.
    assert!(EXTENSION_GAP.as_secs() * ((1 << EXTENSION_REPEATS) - 1) < EXTENSION_TIMEOUT.as_secs());
    assert!(FAST_REKEY.as_secs() + EXTENSION_TIMEOUT.as_secs() < FAST_SEAL_TIME.as_secs());
    assert!(
        FAST_SEAL_TIME.as_secs() + FAST_TICK.as_secs() + EXTENSION_TIMEOUT.as_secs()
            < FAST_OPEN_TIME.as_secs()
    );
    assert!(FAST_SETTLING.as_secs() > EXTENSION_TIMEOUT.as_secs());
    assert!(FRAME_LEN_MAX < 1 << (7 * FRAME_PREFIX_MAX));
};
