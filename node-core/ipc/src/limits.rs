//! Every bound of the control API, each with its reason and what happens when it is reached.

use std::time::Duration;

/// Longest frame a client may send, in bytes of JSON. The largest request is a piece of a
/// sealed secret; more is answered with `frame_too_large` and the connection is closed.
pub const CLIENT_FRAME_LEN_MAX: usize = 64 * 1024;

/// Longest frame a server may send, in bytes of JSON: room for a status with some five thousand
/// peers. An answer that would be longer is replaced by the error `answer_too_large`.
pub const SERVER_FRAME_LEN_MAX: usize = 4 * 1024 * 1024;

/// Clients served at one time. One more is told `too_many_clients` and closed; a desktop has two or
/// three.
pub const CLIENTS_MAX: usize = 32;

/// Requests of one client that may be in progress at one time. One more is answered with `busy`.
pub const REQUESTS_IN_PROGRESS_MAX: usize = 32;

/// Updates that wait for a client before it is told to ask for the whole state again (`resync`).
pub const UPDATES_WAITING_MAX: usize = 64;

/// Nodes in one page of the topology. With [`TOPOLOGY_PAGE_EDGES_MAX`] a page stays well below
/// [`SERVER_FRAME_LEN_MAX`] even when every node is thirty hops deep.
pub const TOPOLOGY_PAGE_NODES_MAX: usize = 2_000;

/// Edges in one page of the topology.
pub const TOPOLOGY_PAGE_EDGES_MAX: usize = 4_000;

/// Longest peer URI accepted in a request, in bytes. Longer ones are answered with `invalid_uri`.
pub const URI_LEN_MAX: usize = 2_048;

/// Most listeners that one `settings_change` adds, and most that it removes; more is answered with
/// `invalid_request`. As many as a node may have.
pub const LISTENERS_CHANGED_MAX: usize = 32;

/// Most peers one `peer_test` request may name; more is answered with `invalid_request`. As many as
/// a node may have.
pub const PEER_TEST_MAX: usize = 256;

/// Most public peers one request may choose. Two or three are enough; more burden others without
/// making anything faster.
pub const PEER_CHOICE_MAX: u32 = 8;

/// Public peers that are chosen when the request names no number.
pub const PEER_CHOICE_DEFAULT: u32 = 3;

/// Longest text of a filter for public peers, in bytes; more is answered with `invalid_request`.
pub const FILTER_LEN_MAX: usize = 128;

/// Most transports in a filter: there are eight.
pub const FILTER_TRANSPORTS_MAX: usize = 16;

/// How long a `peer_job` request waits for news before it is answered without any. Long enough that
/// asking costs nothing, short enough that a client which went away is noticed.
pub const PEER_JOB_WAIT: Duration = Duration::from_secs(2);

/// Time for a `peer_public_refresh` beyond the usual: two downloads from slow servers.
pub const REFRESH_TIME: Duration = Duration::from_secs(70);

/// Time for an `explore`: a turn, a lookup, a question that is asked twice, and three more at once.
pub const EXPLORE_DEADLINE: Duration = Duration::from_secs(25);

/// Longest name of a friend, in characters: what a list shows in one line. Longer ones are refused.
pub const FRIEND_NAME_CHARS_MAX: usize = 48;

/// Longest notes about a friend or a blocked key, in bytes. Longer ones are answered with
/// `invalid_friend`.
pub const FRIEND_NOTES_LEN_MAX: usize = 1_024;

/// Most services of one friend, and most in one request. More is answered with `invalid_friend`.
pub const FRIEND_SERVICES_MAX: usize = 256;

/// Bytes of JSON after which a list of friends or blocked keys is cut; the rest is asked for with
/// its `next`. The last entry may go beyond it by its own length, some 20 KiB at most.
pub const FRIENDS_PAGE_LEN_MAX: usize = 1024 * 1024;

/// Bytes of JSON of one piece of a book of friends that is imported: the rest of the frame is for
/// the request around it, and for an entry that is longer than a piece.
pub const BOOK_PIECE_LEN_MAX: usize = 32 * 1024;

/// Longest link, in bytes: what fits into a QR code that a phone can read. Longer ones are refused.
pub const LINK_LEN_MAX: usize = 1_024;

/// Most peers in a link. More are refused.
pub const LINK_PEERS_MAX: usize = 3;

/// Services that a circle may suggest: what fits into one of its operations.
pub const CIRCLE_SUGGESTED_MAX: usize = 16;

/// Guests that one invite may let in.
pub const INVITE_USES_MAX: u32 = 50;

/// Shortest time for which an invite may be open, in seconds: less is over before a link is read.
pub const INVITE_VALID_S_MIN: u64 = 60;

/// Longest time for which an invite may be open, in seconds: a month.
pub const INVITE_VALID_S_MAX: u64 = 31 * 86_400;

/// Time for which an invite is open, in seconds, where nobody says another: two days.
pub const INVITE_VALID_S_DEFAULT: u64 = 48 * 3_600;

/// Visits that are remembered. The one that was longest ago makes room.
pub const VISITS_MAX: usize = 256;

/// Longest pause with an end, in seconds: 366 days. A longer one is answered with
/// `invalid_request`; a pause without an end lasts until `resume`.
pub const PAUSE_S_MAX: u64 = 366 * 86_400;

/// Most echoes one `ping` request may ask for; more is answered with `invalid_request`.
pub const PING_COUNT_MAX: u32 = 100;

/// Longest wait for one echo, in milliseconds; more is answered with `invalid_request`.
pub const PING_TIMEOUT_MS_MAX: u64 = 30_000;

/// Wait for one echo when the request names none: longer than a lookup and a session handshake over
/// the whole network.
pub const PING_TIMEOUT_MS_DEFAULT: u64 = 5_000;

/// Time between two echoes of one request, as the `ping` of every system does it.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);

/// Time for the greeting of either side. A local process needs none of it; one that never greets
/// must not hold a place.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// Time in which the service answers a request that names no time of its own. Ten seconds is two
/// lookups and a handshake to a far node; past it the answer is `deadline_exceeded`.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Time for one frame to be taken by the other side. A client that does not read for so long is
/// closed.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// Shortest time between two updates that say how the state is. Changes in between are joined into
/// one.
pub const UPDATE_INTERVAL_MIN: Duration = Duration::from_millis(100);

const _: () = assert!(INVITE_VALID_S_MIN < INVITE_VALID_S_DEFAULT);
const _: () = assert!(INVITE_VALID_S_DEFAULT < INVITE_VALID_S_MAX);
const _: () = assert!(BOOK_PIECE_LEN_MAX + 28 * 1024 < CLIENT_FRAME_LEN_MAX);
const _: () = assert!(FRIENDS_PAGE_LEN_MAX + 64 * 1024 < SERVER_FRAME_LEN_MAX);
/// Longest secret that is sealed, in bytes: a configuration file of another program at its bound,
/// with what JSON adds. A longer one is refused before it is sent.
pub const SECRET_LEN_MAX: usize = 1024 * 1024;

/// Longest piece of a sealed secret in one request, in bytes of Base64.
pub const SEALED_PIECE_LEN_MAX: usize = 48 * 1024;

/// All pieces of a sealed secret together, in bytes of Base64. More is `invalid_request`.
pub const SEALED_LEN_MAX: usize = 1_500_000;

/// How long a key waits for its secret: a slow machine seals in milliseconds, so this is for a
/// person who is asked in between.
pub const SEALING_KEY_AGE_MAX: Duration = Duration::from_secs(60);

/// Keys that wait for their secrets at one time. One more makes the oldest go.
pub const SEALING_KEYS_MAX: usize = 8;

/// Shortest passphrase of a backup, in characters: whoever has the file may try as many as there is
/// time for.
pub const PASSPHRASE_CHARS_MIN: usize = 8;

/// Longest passphrase, in bytes. A longer one is a file that was named by mistake.
pub const PASSPHRASE_LEN_MAX: usize = 1024;

/// Longest backup, in bytes. A backup of an identity has about 700.
pub const BACKUP_LEN_MAX: usize = 512 * 1024;

/// Time for a request that hashes a passphrase, which takes seconds on a small board.
pub const PASSPHRASE_DEADLINE: Duration = Duration::from_secs(60);

/// Most forwarded ports. Each that goes out holds a socket all the time.
pub const FORWARDS_MAX: usize = 64;

/// Longest text of one side of a forwarded port, in bytes: a name of the domain name system and a
/// port.
pub const FORWARD_LEN_MAX: usize = 260;

/// Longest name of a network, in bytes.
pub const NETWORK_LEN_MAX: usize = 64;

const _: () = assert!(URI_LEN_MAX < CLIENT_FRAME_LEN_MAX);
const _: () = assert!(SEALED_PIECE_LEN_MAX + 1024 < CLIENT_FRAME_LEN_MAX);
// Base64 takes four letters for three bytes; 32 bytes of key and 16 of tag come along.
const _: () = assert!((SECRET_LEN_MAX + 64) / 3 * 4 < SEALED_LEN_MAX);
const _: () = assert!(BACKUP_LEN_MAX < SECRET_LEN_MAX);
const _: () = assert!(BACKUP_LEN_MAX < SERVER_FRAME_LEN_MAX);
const _: () = assert!(CLIENT_FRAME_LEN_MAX < SERVER_FRAME_LEN_MAX);
// A node takes at most 900 bytes of JSON and an edge at most 260.
const _: () =
    assert!(TOPOLOGY_PAGE_NODES_MAX * 900 + TOPOLOGY_PAGE_EDGES_MAX * 260 < SERVER_FRAME_LEN_MAX);
