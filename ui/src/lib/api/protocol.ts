// Written by scripts/types.mjs from node-core/docs/ipc.md; run `npm run types`.

/** Who may reach this computer through the network. */
export type Access = {
  /** Number of blocked keys. */
  blocked: number;
  /** Number of circles of which this computer is a member. */
  circles: number;
  /** Whose echo requests are answered: `circles` stands for friends that may. */
  echo: Audience;
  /** What is open to everyone, one by one. */
  everyone: string[];
  /** Number of friends. */
  friends: number;
  /** Who may open connections here: `circles` stands for what friends and everyone were allowed one by one. */
  inbound: Audience;
  /** Until when strangers who followed a shared link are listened to, or `null` when they are not. */
  lobby_until: number | null;
  /** Number of their other members, each counted once. */
  members: number;
  /** The pause, or `null` while there is none. */
  paused: Pause | null;
  /** Who may open a session. */
  sessions: Audience;
};

/** An answer to a `Question`. */
export type Answer = "once" | "always" | "circle" | "yes" | "no";

/** Why a request was not done. Programs match `code`, people read the rest. */
export type ApiError = {
  /** What kind of failure this is. */
  code: ErrorCode;
  /** What the person can do about it, or `null` when nothing can be done. */
  hint: string | null;
  /** What happened, naming the thing it happened to. Lower case, no full stop. */
  message: string;
};

/** Whom a setting means. */
export type Audience = "nobody" | "circles" | "everyone";

/** Answer to `identity_export`. */
export type Backup = {
  /** When it was made. */
  created: number;
  /** Whose backup it is. */
  identity: Identity;
  /** What is in it, by name. */
  parts: string[];
  /** The backup, a text file as in `docs/backup.md`. */
  text: string;
};

/** A key that nothing passes to or from. */
export type BlockedKey = {
  /** Its address. */
  address: string;
  /** When it was blocked. */
  blocked_at: number;
  /** Whether the key is a friend's as well. */
  friend: boolean;
  /** The key. */
  key: string;
  /** The friend's name, or the one that was given when it was blocked, or `null`. */
  name: string | null;
  /** Why, in the person's own words. */
  notes: string;
};

/** Blocked keys in their order, or a part of them. */
export type BlockedList = {
  /** The keys. */
  blocked: BlockedKey[];
  /** The key to ask for the rest with, or `null` when this was the end. */
  next: string | null;
  /** When the list was taken, by the service's clock. */
  time: number;
};

/** A blocked key in a book. */
export type BookBlocked = {
  /** The key. */
  key: string;
  /** The name that was given to it, or `null`. */
  name?: string | null;
  /** Why. */
  notes?: string;
};

/** A friend in a book. */
export type BookFriend = {
  /** Whether its echo requests are answered. */
  echo?: boolean;
  /** Its key. */
  key: string;
  /** Its name. */
  name: string;
  /** What was written down about it. */
  notes?: string;
  /** What it may reach besides. */
  services?: string[];
  /** Whether its key was compared. */
  verified?: boolean;
};

/** What a session is sealed with. */
export type Cipher = "compatible" | "aes-256-gcm" | "chacha20-poly1305";

/** A circle as this computer has it, without its members. */
export type Circle = {
  /** What its members may reach on this computer. */
  access: CircleAccess;
  /** When it came to this computer. */
  added_at: number;
  /** When the link that was followed is over, or `null` when none was or it was used. */
  expires_at: number | null;
  /** Members that signed two different things under one number, a sign of two nodes with one key or of a forger: what they say from there on counts for nobody. */
  forked: Party[];
  /** What names it for programs. */
  id: string;
  /** Number of nodes that were added and have not agreed yet. */
  invited: number;
  /** Who invited or added this computer, or `null` if it began the circle. */
  inviter: Party | null;
  /** Number of members, this computer included where it is one. */
  members: number;
  /** Its name: while asking, the one in the link. */
  name: string;
  /** Number of other members from which something came within the last 60 s. */
  online: number;
  /** Whether a key on paper stands above everybody. */
  recovery: boolean;
  /** What this computer may do in it, or `null` while it is no member. */
  role: MemberRole | null;
  /** How this computer stands to it. */
  state: CircleState;
  /** What the circle suggests that its members should reach; nothing of it holds by itself. */
  suggested: string[];
  /** When this computer and another member last agreed on what they know, or `null` if they have not yet. What was decided since may not be known here. */
  synced_at: number | null;
};

/** What members of a circle may reach on this computer. */
export type CircleAccess = {
  /** Whether their echo requests are answered. */
  echo: boolean;
  /** Whether any of it holds; `false` while the circle is paused here. */
  enabled: boolean;
  /** What they reach besides. */
  services: string[];
  /** Whether they reach every TCP and UDP port of the machines in this node's subnet. */
  subnet: boolean;
};

/** What is to change about what a circle may reach on this computer; what is absent stays. */
export type CircleAccessChange = {
  /** What may be reached from here on. */
  allow?: string[];
  /** What may no longer be reached: taken away before `allow` is added. */
  deny?: string[];
  /** Whether echo requests are answered. */
  echo?: boolean | null;
  /** Whether any of it holds. */
  enabled?: boolean | null;
  /** Whether the subnet of this node can be reached. */
  subnet?: boolean | null;
};

/** What is to change about a circle for all its members; what is absent stays. */
export type CircleChange = {
  /** The new name. */
  name?: string | null;
  /** What to suggest that members should reach, instead of what was suggested before; at most 16. */
  suggest?: string[] | null;
};

/** A circle with its members and the invites to it that this computer made. */
export type CircleDetails = {
  /** The circle. */
  circle: Circle;
  /** The invites to it that this computer made, the latest first. */
  invites: Invite[];
  /** Its members by rank, then by key; 256 at most. */
  members: Member[];
  /** When this was taken, by the service's clock. */
  time: number;
};

/** What a key on paper is to sign. */
export type CircleDraft = {
  kind: "create";
  /** Name of the circle. */
  name: string;
  /** The key on paper. */
  recovery: string;
} | {
  /** The circle. */
  circle: string;
  /** Who is to become an admin. */
  key: string;
  kind: "add";
  /** The key on paper, which must be the circle's. */
  recovery: string;
} | {
  /** The circle. */
  circle: string;
  /** Whom. */
  key: string;
  kind: "remove";
  /** The key on paper, which must be the circle's. */
  recovery: string;
};

/** All circles. */
export type CircleList = {
  /** The circles by name; 64 at most. */
  circles: Circle[];
  /** When the list was taken, by the service's clock. */
  time: number;
};

/** A circle's number and name. */
export type CircleRef = {
  /** What names it for programs. */
  id: string;
  /** Its name. */
  name: string;
};

/** How this computer stands to a circle. */
export type CircleState = "asking" | "waiting" | "refused" | "expired" | "invited" | "member" | "removed" | "left";

/** First message of the client. */
export type ClientHello = {
  /** Program and version, such as `planetary 0.1.0`. For logs only. */
  build: string;
  /** Oldest version the client accepts. */
  lowest: number;
  /** Newest version the client speaks. */
  version: number;
};

/** A number with a name. */
export type Counter = {
  /** Its name, in snake case. */
  name: string;
  /** The number. */
  value: number;
};

/** Who opened a link. */
export type Direction = "out" | "in";

/** Answer to `doctor`: what was checked, in the order of a person's questions (service, identity, TUN, peers, tree, proof), problems and passed checks alike. */
export type DoctorReport = {
  /** The checks. */
  items: HealthItem[];
  /** When the checks were made, by the service's clock. */
  time: number;
};

/** Packets that the packet filter did not let pass, for one reason and in one direction, since the node was switched on. */
export type Dropped = {
  /** `in` for packets of others, `out` for packets of this computer. */
  direction: Direction;
  /** How many. */
  packets: number;
  /** Why, in words that stay the same, such as `no rule`. */
  reason: string;
};

/** A relation between two nodes. */
export type Edge = {
  /** Key of the one node. */
  from: string;
  /** What joins them. */
  kind: EdgeKind;
  /** Round-trip time in milliseconds, or `null` while unknown. */
  latency_ms: number | null;
  /** Key of the other. */
  to: string;
};

/** What joins two nodes. */
export type EdgeKind = "tree" | "peer" | "path" | "session" | "link";

/** The stable codes of `ApiError`. */
export type ErrorCode = "frame_too_large" | "invalid_json" | "invalid_request" | "unknown_request" | "version_mismatch" | "permission_denied" | "too_many_clients" | "busy" | "deadline_exceeded" | "answer_too_large" | "shutting_down" | "internal" | "invalid_uri" | "invalid_target" | "peer_exists" | "peer_not_found" | "peer_limit" | "invalid_setting" | "listener_exists" | "listener_not_found" | "listener_limit" | "cannot_listen" | "invalid_forward" | "forward_exists" | "forward_not_found" | "forward_limit" | "network_not_found" | "invalid_friend" | "friend_exists" | "friend_not_found" | "friend_limit" | "key_blocked" | "invalid_circle" | "circle_not_found" | "circle_limit" | "circle_rights" | "invite_not_found" | "invalid_link" | "question_not_found" | "not_allowed" | "node_down" | "unreachable" | "unsupported" | "config" | "identity_exists" | "invalid_import" | "wrong_passphrase" | "weak_passphrase" | "system_refused" | "unknown";

/** Something that changed. */
export type Event = Status & {
  type: "status";
} | Traffic & {
  type: "traffic";
} | {
  /** Grows with every change. */
  revision: number;
  type: "topology";
} | {
  /** Grows with every change. */
  revision: number;
  type: "friends";
} | {
  /** Grows with every change. */
  revision: number;
  type: "circles";
} | {
  type: "resync";
} | {
  type: "unknown";
};

/** Answer to `explore`. */
export type Explored = {
  /** Its address. */
  address: string;
  /** Whether it said anything. A node that did not is there, but is closed to strangers: its place in the network is known, and nothing else. */
  answered: boolean;
  /** Key of the node. */
  key: string;
  /** What it calls itself, at most 64 characters, or `null`. */
  name: string | null;
  /** Keys of the nodes it has links to, or `null` when it did not say. At most 512. */
  peers: string[] | null;
  /** Its program and version, or `null`. */
  program: string | null;
  /** How long it took to answer a question, in milliseconds, or `null`. */
  round_trip_ms: number | null;
  /** How many nodes it knows the place of, or `null`. */
  routing_entries: number | null;
  /** Its system and processor, or `null`. */
  system: string | null;
  /** When it was asked. */
  time: number;
  /** Keys of the nodes it knows the place of, or `null` when it did not say. At most 2047. */
  tree: string[] | null;
};

/** A forwarded port as it is. */
export type Forward = {
  /** Number of connections, or of conversations by datagrams, that are open. */
  connections: number;
  /** Number of this entry, to be named in `forward_remove`; never used twice. */
  id: number;
  /** The last failure, or `null`. */
  last_error: PeerError | null;
  /** What was wished. */
  rule: ForwardRule;
  /** Bytes from the network since the service started. */
  rx_bytes: number;
  /** Bytes to the network since the service started. */
  tx_bytes: number;
  /** Whether connections are taken now. */
  up: boolean;
};

/** Answer to `forward_list`. */
export type ForwardList = {
  /** The forwarded ports, in the order of their numbers. */
  forwards: Forward[];
  /** When this answer was made, by the service's clock. */
  time: number;
};

/** What a forwarded port carries. */
export type ForwardProtocol = "tcp" | "udp";

/** A forwarded port as a person wishes it. */
export type ForwardRule = {
  /** Where connections are taken. Out: a loopback address of this computer, `127.0.0.1:8080`. In: a port of this node on the network, `80`. */
  listen: string;
  /** What is carried. */
  protocol: ForwardProtocol;
  /** Where they are taken to. Out: address or name of a node with a port, `[200::1]:80` or `ada.pln.internal:80`. In: a loopback address of this computer, `127.0.0.1:8080`. */
  target: string;
  /** Which way. */
  way: ForwardWay;
};

/** Which way connections through a forwarded port go. */
export type ForwardWay = "out" | "in";

/** A friend. */
export type Friend = {
  /** When it was added. */
  added_at: number;
  /** Its address. */
  address: string;
  /** Whether the key is blocked, which beats everything else. */
  blocked: boolean;
  /** Whether this computer answers its echo requests. */
  echo: boolean;
  /** Its name for programs of this computer, such as `ada.pln.internal`, or `null` where its name makes none or another friend's makes the same. */
  host: string | null;
  /** Its key. */
  key: string;
  /** When something last came from it, or `null` if nothing has yet. Right to ten minutes after a restart. */
  last_seen: number | null;
  /** The name that was chosen for it here, unique whatever its case. */
  name: string;
  /** What the person wrote down about it. */
  notes: string;
  /** Whether something came from it within the last 60 s. */
  online: boolean;
  /** What it may reach here besides. */
  services: string[];
  /** Its subnet. */
  subnet: string;
  /** Whether the person has compared the key with the friend. */
  verified: boolean;
};

/** Friends and blocked keys, without what belongs to one computer alone (when they were seen, what is open to everyone). */
export type FriendBook = {
  /** The blocked keys. */
  blocked?: BookBlocked[];
  /** The friends. */
  friends: BookFriend[];
  /** Version of the form: 1. */
  version: number;
};

/** What is to change about a friend; what is absent stays. */
export type FriendChange = {
  /** What it may reach from here on. */
  allow?: string[];
  /** What it may no longer reach: taken away before `allow` is added. */
  deny?: string[];
  /** Whether echo requests are answered. */
  echo?: boolean | null;
  /** The new name. */
  name?: string | null;
  /** The new notes; empty for none. */
  notes?: string | null;
  /** Whether the key was compared. */
  verified?: boolean | null;
};

/** Friends in the order of their keys, or a part of them. */
export type FriendList = {
  /** What is open to everyone. */
  everyone: string[];
  /** The friends. */
  friends: Friend[];
  /** The key to ask for the rest with, or `null` when this was the end. */
  next: string | null;
  /** When the list was taken, by the service's clock. */
  time: number;
};

/** The gateway's listeners, as part of the status. */
export type Gateway = {
  /** Number of connections through proxies and forwarded ports. */
  connections: number;
  /** Where names are answered without an interface, `dns://127.0.0.1:5380`, or `null`. */
  dns: ListenerStatus | null;
  /** Number of forwarded ports. */
  forwards: number;
  /** The HTTP proxy, `http://127.0.0.1:8080`, or `null` when none is configured. */
  http: ListenerStatus | null;
  /** The SOCKS5 proxy, `socks://127.0.0.1:1080`, or `null` when none is configured. */
  socks: ListenerStatus | null;
  /** Whether TCP and UDP run inside the service, because there is no interface. */
  user_space: boolean;
};

/** One condition, or one line of the checklist. */
export type HealthItem = {
  /** The one thing to do about it, or `null` when there is nothing to do. */
  action: string | null;
  /** Whether traffic suffers from it. */
  affects_connectivity: boolean;
  /** Stable name in snake case, such as `no_peer_connected`; the list is in `docs/ipc.md`. */
  code: string;
  /** How much it matters. */
  severity: Severity;
  /** Since when it is so, or `null` for a check made just now. */
  since: number | null;
  /** What is so and why, in plain sentences. */
  text: string;
  /** A few words, such as "No peer is connected". */
  title: string;
};

/** First message of the server. */
export type Hello = {
  /** Program and version, such as `planetaryd 0.1.0`. */
  build: string;
  /** Oldest version the service accepts. */
  lowest: number;
  /** Number of the last update that is contained in `status`; the next one has the following number. */
  seq: number;
  /** The whole state. */
  status: Status;
  /** Newest version the service speaks. */
  version: number;
};

/** A node on the way to another. */
export type Hop = {
  /** Its address, or `null` while only its place is known. */
  address: string | null;
  /** Its place in the tree, ports from the root down, or `null` while unknown. */
  coordinates: number[] | null;
  /** Its key, or `null` while only its place is known. */
  key: string | null;
};

/** Who this node is, without anything private. */
export type Identity = {
  /** Address that follows from the key. */
  address: string;
  /** Where the service keeps the private key, or `null` when the identity lives in memory only. */
  file: string | null;
  /** Public key, 64 hexadecimal digits. */
  key: string;
  /** Routed subnet that follows from the key. */
  subnet: string;
};

/** Answer to `identity_import`: what changed, or would change. */
export type IdentityImport = {
  /** Who the node is afterwards; its `file` is `null` while nothing was changed. */
  after: Identity;
  /** Whether it was done; `false` for a dry run, and when there was nothing to do. */
  applied: boolean;
  /** Who the node was. */
  before: Identity;
  /** When the backup was made, or `null` for a bare key. */
  created: number | null;
  /** Whether the two differ. */
  differs: boolean;
  /** Where the former key is kept, or `null` when it was not replaced. */
  kept: string | null;
  /** Parts of the backup that this version cannot take. They stay in the file. */
  left: string[];
  /** What the identity was read from. */
  source: ImportSource;
};

/** One setting of the imported file, or one entry of a list. */
export type ImportItem = {
  /** The key of our configuration that has it, or `null` when there is none. */
  key: string | null;
  /** What becomes of it. */
  outcome: ImportOutcome;
  /** Why it is not taken, or what is different here; `null` when there is nothing to say. */
  reason: string | null;
  /** Its name in the imported file. */
  setting: string;
  /** Its value, or `null` where it is a secret or too long to show. URIs are without user information and query. */
  value: string | null;
};

/** What becomes of a setting. */
export type ImportOutcome = "taken" | "same" | "kept" | "left";

/** An entry of a book that was not taken. */
export type ImportRefusal = {
  /** Its key. */
  key: string;
  /** Its name, or `null`. */
  name: string | null;
  /** Why. */
  reason: string;
};

/** What became of a book that was imported. */
export type ImportReport = {
  /** Friends that are new. */
  added: number;
  /** Keys that are blocked now and were not before. */
  blocked: number;
  /** Friends that were here and stayed as they were. */
  kept: number;
  /** What was not taken, and why. */
  refused: ImportRefusal[];
  /** Friends that were here and are as in the book now. */
  updated: number;
};

/** What kind of file an identity was read from. */
export type ImportSource = "backup" | "key";

/** An invite that this computer made. */
export type Invite = {
  /** Whether the person is asked before a guest is let in. */
  asks: boolean;
  /** The circle it is to. */
  circle: string;
  /** That circle's name. */
  circle_name: string;
  /** When it was made. */
  created_at: number;
  /** When it is over. */
  expires_at: number;
  /** Whom it has let in. */
  guests: Party[];
  /** Its number on this computer. */
  id: number;
  /** The link, `planetary:join?…`: whoever has it may join. `null` once it lets nobody in. */
  link: string | null;
  /** What guests may do in the circle. */
  role: MemberRole;
  /** How it stands. */
  state: InviteState;
  /** How many it has let in. */
  used: number;
  /** How many guests it lets in. */
  uses: number;
};

/** Invites that this computer made. */
export type InviteList = {
  /** The invites, the latest first. */
  invites: Invite[];
  /** When the list was taken, by the service's clock. */
  time: number;
};

/** How an invite stands. */
export type InviteState = "open" | "used" | "expired" | "revoked";

/** What the node does about other nodes on the local network. */
export type Lan = {
  /** Whether it is switched on in the settings. */
  enabled: boolean;
  /** The interfaces that could be used, ordered by name; empty while the node is down. */
  interfaces: LanInterface[];
  /** Number of links that are up to nodes that were found, or that found this one. */
  links: number;
  /** Most links to nodes that were found. */
  max_links: number;
};

/** One interface of this computer, as far as the local network is concerned. */
export type LanInterface = {
  /** What people call the network, such as the name of the Wi-Fi, or `null`. */
  label: string | null;
  /** Number of links over it to nodes that were found, or that found this one. */
  links: number;
  /** Name of the interface, such as `eth0`. */
  name: string;
  /** The network behind it, to be named in `lan_trust`: a short text without meaning, or `null` while nothing can be seen of it. */
  network: string | null;
  /** What is done on it. */
  state: LanState;
  /** Whether this is Wi-Fi. */
  wireless: boolean;
};

/** What is done on an interface. */
export type LanState = "active" | "unknown" | "refused" | "excluded" | "failed";

/** The moving part of a `PeerStatus`. */
export type LinkTraffic = {
  /** As in the peer's status. */
  cost: number | null;
  /** As in the peer's status. */
  latency_ms: number | null;
  /** Number of the link. */
  link: number;
  /** As in the peer's status. */
  reconnect_in_s: number | null;
  /** As in the peer's status. */
  rx_bytes: number;
  /** As in the peer's status. */
  rx_rate: number | null;
  /** As in the peer's status. */
  tx_bytes: number;
  /** As in the peer's status. */
  tx_rate: number | null;
  /** As in the peer's status. */
  uptime_s: number | null;
};

/** Why a list of public peers can be trusted. */
export type ListTrust = "shipped" | "signed" | "unsigned";

/** A socket on which this node accepts peers. */
export type ListenerStatus = {
  /** Why it does not, or `null`. */
  last_error: PeerError | null;
  /** Whether it accepts connections. */
  up: boolean;
  /** Where it listens, without user information and query, with the real port. */
  uri: string;
};

/** How much a line of the log matters, the most first. */
export type LogLevel = "error" | "warn" | "info";

/** A line of the log. */
export type LogLine = {
  /** When it was written. */
  at: number;
  /** How much it matters. */
  level: LogLevel;
  /** Number of the line, from 1; grows by one from line to line while the service runs. */
  number: number;
  /** The part of the program that wrote it. */
  target: string;
  /** What it says, in one line, with its values as `name=value`. */
  text: string;
};

/** Answer to `logs`: lines in the order of their numbers. */
export type LogPage = {
  /** Number of the last line that was looked at; ask for those after it next. */
  last: number;
  /** The lines. */
  lines: LogLine[];
  /** How many lines after the number asked for are no longer kept. */
  lost: number;
};

/** The least severe event that is logged. */
export type LogThreshold = "error" | "warn" | "info" | "debug" | "trace";

/** A member of a circle, or who was added and has not agreed yet. */
export type Member = {
  /** Who added it, or `null` for those with whom the circle began. */
  added_by: string | null;
  /** Its address. */
  address: string;
  /** Whether its key is blocked here, which beats everything else. */
  blocked: boolean;
  /** When something last came from it, or `null` if nothing has yet. */
  last_seen: number | null;
  /** Whether something came from it within the last 60 s. */
  online: boolean;
  /** Whether it is this computer. */
  own: boolean;
  /** Who it is. */
  party: Party;
  /** Its rank: who has a smaller one can remove it. */
  rank: number;
  /** Whether this computer can remove it. */
  removable: boolean;
  /** What it may do in the circle. */
  role: MemberRole;
  /** What it alone may reach on this computer, besides what the circle may and what it may as a friend. */
  services: string[];
  /** Whether it has agreed. */
  state: MemberState;
};

/** What a member may do in its circle. */
export type MemberRole = "member" | "admin";

/** Whether a node that was added has agreed. */
export type MemberState = "invited" | "member";

/** Names such as `ada.pln.internal`, which only this computer knows. */
export type Names = {
  /** What to do so that programs find them, or `null` when nothing is to be done. */
  hint: string | null;
  /** What of the system asks there, such as `systemd-resolved`, or `null`. */
  resolver: string | null;
  /** Where questions are answered, on port 53, or `null` while they are not. */
  server: string | null;
  /** How they are answered. */
  state: NamesState;
  /** What all of them end with. */
  suffix: string;
};

/** How names of the network are answered on this computer. */
export type NamesState = "off" | "answering" | "wired";

/** A peer that leads towards a target. */
export type NextHop = {
  /** Address of the peer. */
  address: string;
  /** Key of the peer. */
  key: string;
  /** Round-trip time of the link in milliseconds, or `null` while unknown. */
  latency_ms: number | null;
  /** Port of the link in the tree. */
  port: number;
  /** URI of the link, without user information and query. */
  uri: string;
};

/** A node of the network. */
export type Node = {
  /** Address that follows from the key. */
  address: string;
  /** Place in the tree, ports from the root down, or `null` while unknown. */
  coordinates: number[] | null;
  /** Whether a link to it is up. */
  direct: boolean;
  /** Public key, 64 hexadecimal digits. */
  key: string;
  /** Round trip to it in milliseconds, over the best link of a peer, or as it took to explore it; `null` while unknown. */
  latency_ms: number | null;
  /** The name of the friend whose node it is, or `null`. */
  name: string | null;
  /** Key of its parent in the tree (its own at the root), or `null` while unknown. */
  parent: string | null;
  /** Its port at the parent, or `null` while unknown. */
  port: number | null;
  /** Why it is here; at least one. */
  roles: Role[];
  /** Bytes received in the session with it, or `null` without one. */
  rx_bytes: number | null;
  /** Sequence number of its last announcement, or `null` while unknown. */
  sequence: number | null;
  /** Bytes sent in the session with it, or `null` without one. */
  tx_bytes: number | null;
  /** Key of the peer that packets to it leave through, its own for a direct peer; `null` for nodes without path and session, and while no peer leads there. */
  via: string | null;
};

/** A node as a person knows it. */
export type Party = {
  /** Its key. */
  key: string;
  /** What a circle calls it, or `null`. Nobody has checked it. */
  label: string | null;
  /** The friend's name, or `null` for a key that is no friend's. */
  name: string | null;
};

/** What is known about the way to a node. */
export type PathReport = {
  /** Address of that node (not an address inside its subnet). */
  address: string;
  /** How long ago the path was learnt, in seconds, or `null` for a direct peer and for this node. */
  age_s: number | null;
  /** Place of the node in the tree, or `null` while unknown. */
  coordinates: number[] | null;
  /** Hops over the tree from this node to that one, or `null` while unknown. Shortcuts make the real way shorter. */
  distance: number | null;
  /** The way from this node, the first, to that one, the last: over the peer in use, and from there over the tree. Each node on it may know a shorter one. Empty while it is not known. */
  hops: Hop[];
  /** Key of the node that answers for the target. */
  key: string;
  /** Peers that lead there, the one in use first; empty when the target is this node or no peer does. */
  next_hops: NextHop[];
  /** The session with the node. */
  session: SessionReport;
  /** The target as it was asked for. */
  target: string;
};

/** A pause: nobody may open anything on this computer. */
export type Pause = {
  /** When it ends by itself, or `null` when it lasts until `resume`. */
  until: number | null;
};

/** A public peer that was chosen. */
export type PeerChoice = {
  /** The peer as it was stored, or `null` if it was not to be added. */
  added: PeerEntry | null;
  /** Country. */
  country: string;
  /** Why this one, in plain words. */
  reason: string;
  /** Part of the world. */
  region: string;
  /** Its round trip in milliseconds. */
  round_trip_ms: number;
  /** Where it is, without options. */
  uri: string;
};

/** A peer as the service stored it, the answer to adding or removing one. */
export type PeerEntry = {
  /** Whether the command line of the service names it as well. Removing the peer ends that for this run; the next start with the same command line dials it again. */
  argument: boolean;
  /** Interface it is bound to, or `null`. */
  interface: string | null;
  /** Whether it outlives a restart: it stands (or stood) in the configuration file, or among the chosen peers. */
  persistent: boolean;
  /** Where it goes, without user information and query. */
  uri: string;
};

/** Why a link failed. */
export type PeerError = {
  /** When it happened. */
  at: number;
  /** Stable name in snake case, such as `cannot_connect`; the list is in `docs/ipc.md`. */
  code: string;
  /** What happened, for people. */
  message: string;
};

/** Answer to everything about jobs: how far it is, and what is new. */
export type PeerJob = {
  /** Whether it ended early because somebody wished so. */
  cancelled: boolean;
  /** The peers chosen, once the job is done, the best first. Empty for a plain test. */
  choices: PeerChoice[];
  /** Whether it has ended. */
  done: boolean;
  /** What went wrong with the job as a whole, or `null`. */
  error: ApiError | null;
  /** Number of the job. */
  job: number;
  /** The results after those that the request says it has seen, in the order in which they came. */
  results: PeerTest[];
  /** How many have been tested. */
  tested: number;
  /** How many peers are to be tested, as far as is known; it may grow while the job runs. */
  total: number;
};

/** What is remembered of a peer over restarts. */
export type PeerRecord = {
  /** How often it answered. */
  answers: number;
  /** Shortest round trip in milliseconds, or `null` if it never answered. */
  best_ms: number | null;
  /** When it last answered, or `null` if it never did. */
  last_good: number | null;
  /** Median of the latest round trips in milliseconds, or `null` if it never answered. */
  median_ms: number | null;
  /** How often it was tried. */
  tries: number;
};

/** How a link came to be. */
export type PeerSource = "config" | "argument" | "chosen" | "inbound" | "lan";

/** One link, up or down. */
export type PeerStatus = {
  /** Address of the other node, or `null` before the first handshake. */
  address: string | null;
  /** Cost of the link as the routing sees it, or `null` while it is down. */
  cost: number | null;
  /** Who opened it. */
  direction: Direction;
  /** Interface the link is bound to, or `null`. */
  interface: string | null;
  /** Key of the other node, or `null` before the first handshake. */
  key: string | null;
  /** The last failure of this link, also when it is up again, or `null` if there was none. */
  last_error: PeerError | null;
  /** Smoothed round-trip time in milliseconds, or `null` before the first measurement. */
  latency_ms: number | null;
  /** Number of this entry while the service runs; never used twice. */
  link: number;
  /** Whether the person paused it: it is not dialled until resumed. */
  paused: boolean;
  /** Port of this link in the tree, or `null` while it is down. */
  port: number | null;
  /** Priority, 0 to 255; the lowest number is used first. */
  priority: number;
  /** When the next attempt is made, in seconds from now, or `null` when none is planned. */
  reconnect_in_s: number | null;
  /** Bytes received on this connection, or on the last one while the link is down. */
  rx_bytes: number;
  /** Bytes received in the last second, or `null` while the link is down. */
  rx_rate: number | null;
  /** How it came to be. */
  source: PeerSource;
  /** Whether the other side has not answered in time. A suspect link is not routed over. */
  suspect: boolean;
  /** Bytes sent on this connection, or on the last one while the link is down. */
  tx_bytes: number;
  /** Bytes sent in the last second, or `null` while the link is down. */
  tx_rate: number | null;
  /** Whether the link carries traffic. */
  up: boolean;
  /** How long the connection has lasted, in seconds, or `null` while the link is down. */
  uptime_s: number | null;
  /** Where the link goes, without user information and query: `tls://host.example:443`. */
  uri: string;
};

/** How one peer answered. */
export type PeerTest = {
  /** Time to open the connection, in milliseconds, or `null`. */
  connect_ms: number | null;
  /** Country of a public peer, or `null`. */
  country: string | null;
  /** Why not, or `null`. */
  error: PeerError | null;
  /** Interface it was dialled from, or `null`. */
  interface: string | null;
  /** Key that signed its answer, or `null` if there was none. */
  key: string | null;
  /** Address that answered, or `null`. */
  remote: string | null;
  /** Time from this node's greeting to the peer's verified answer, in milliseconds: one round trip. `null` if there was no such answer. */
  round_trip_ms: number | null;
  /** Where it is, without options. */
  uri: string;
};

/** What became of one echo request. */
export type PingReply = {
  /** Round trip in milliseconds, or `null` when no answer came in time. */
  rtt_ms: number | null;
  /** Number of the request, from 1. */
  seq: number;
};

/** Result of sending echo requests to a node. */
export type PingReport = {
  /** Address that was sent to. */
  address: string;
  /** Mean round trip in milliseconds, or `null` without an answer. */
  avg_ms: number | null;
  /** Key of the node that answers for it, or `null` when it was not found. */
  key: string | null;
  /** Longest round trip in milliseconds, or `null` without an answer. */
  max_ms: number | null;
  /** Shortest round trip in milliseconds, or `null` without an answer. */
  min_ms: number | null;
  /** Answers received in time. */
  received: number;
  /** One entry per request sent, in the order of sending. */
  replies: PingReply[];
  /** Requests sent. */
  sent: number;
  /** The target as it was asked for. */
  target: string;
};

/** Which public peers are meant: those for which everything that is given holds. */
export type PublicFilter = {
  /** In this country, as the list names it: `united-states`. Case, spaces and hyphens do not matter. */
  country?: string | null;
  /** In this part of the world: `north-america`. */
  region?: string | null;
  /** With this text in URI, country or region. */
  search?: string | null;
  /** With one of these transports; any if empty. */
  transports?: string[];
};

/** Where the list of public peers comes from. */
export type PublicList = {
  /** Key with which it must be signed, or `null` for none. */
  key: string | null;
  /** URL of the list, or `null` for the one that ships with the program. */
  url: string | null;
};

/** A public peer. */
export type PublicPeer = {
  /** Country. */
  country: string;
  /** Whether this node keeps a link to it. */
  in_use: boolean;
  /** What is known of it from earlier, or `null`. */
  record: PeerRecord | null;
  /** Part of the world. */
  region: string;
  /** Transport: the scheme of the URI. */
  transport: string;
  /** Where it is, without options. */
  uri: string;
  /** Whether this node can dial it: it has the transport. */
  usable: boolean;
};

/** Answer to `peer_public` and `peer_public_refresh`: the list of public peers in use. */
export type PublicPeers = {
  /** How many days ago that was. */
  age_days: number;
  /** Day of the list, as `2026-01-31`. */
  date: string;
  /** When it was fetched, or `null` for the list that ships with the program. */
  fetched_at: number | null;
  /** Those of them that were asked for, in the order of the list. */
  peers: PublicPeer[];
  /** Why the last refresh failed, or `null`. */
  refresh_error: PeerError | null;
  /** Whether the configuration names a URL to refresh it from. */
  refreshable: boolean;
  /** The first of those. */
  rejected: RejectedEntry[];
  /** Number of entries that cannot be understood. */
  rejected_total: number;
  /** Who says so, in the list's own words. */
  source: string;
  /** When this answer was made, by the service's clock. */
  time: number;
  /** Number of entries that can be understood. */
  total: number;
  /** Why it can be trusted. */
  trust: ListTrust;
};

/** Something that only the person of this computer can answer. */
export type Question = {
  /** When it was asked. */
  asked_at: number;
  /** Its number, to answer it with. */
  id: number;
  /** What is asked. */
  subject: Subject;
  /** When it is over and counts as answered with no. */
  until: number;
};

/** An entry that cannot be understood. */
export type RejectedEntry = {
  /** Its number in the list, from 1. */
  entry: number;
  /** What is wrong with it. */
  reason: string;
};

/** A version that was released. */
export type Release = {
  /** The day of its release, `2026-01-31`. */
  date: string;
  /** What changed, and where to have it: an `https` URL for a person to open. */
  notes_url: string;
  /** Such as `0.2.0`. */
  version: string;
};

/** Whether newer versions are looked for. */
export type ReleaseCheck = "unavailable" | "off" | "offline" | "on";

/** What is known of newer versions. */
export type Releases = {
  /** Whether they are looked for. */
  check: ReleaseCheck;
  /** When the last answer came that could be believed, or `null` if none has. */
  checked_at: number | null;
  /** Why the last attempt failed, or `null` if it did not. */
  error: PeerError | null;
  /** The newest version, if it is newer than the service, else `null`. */
  newer: Release | null;
};

/** Answer to a request. */
export type Reply = Status & {
  type: "status";
} | {
  /** Number of the last update contained in `status`; the next one has the following number. */
  seq: number;
  /** The whole state. */
  status: Status;
  type: "state";
} | {
  /** The topics. */
  topics: Topic[];
  type: "subscribed";
} | PeerEntry & {
  type: "peer";
} | PublicPeers & {
  type: "public_peers";
} | PeerJob & {
  type: "peer_job";
} | Topology & {
  type: "topology";
} | PathReport & {
  type: "path";
} | PingReport & {
  type: "ping";
} | Explored & {
  type: "explored";
} | DoctorReport & {
  type: "doctor";
} | SupportReport & {
  type: "report";
} | LogPage & {
  type: "logs";
} | Identity & {
  type: "identity";
} | Settings & {
  type: "settings";
} | FriendList & {
  type: "friends";
} | BlockedList & {
  type: "blocked_keys";
} | Friend & {
  type: "friend";
} | BlockedKey & {
  type: "blocked_key";
} | ImportReport & {
  type: "imported";
} | {
  /** The services. */
  everyone: string[];
  type: "open";
} | Shared & {
  type: "shared";
} | CircleList & {
  type: "circles";
} | CircleDetails & {
  type: "circle";
} | {
  /** What is to be signed, in Base64. */
  operation: string;
  type: "circle_draft";
} | Invite & {
  type: "invite";
} | InviteList & {
  type: "invites";
} | VisitList & {
  type: "visits";
} | ForwardList & {
  type: "forwards";
} | Forward & {
  type: "forward";
} | SealingKey & {
  type: "sealing_key";
} | {
  type: "sealed_part";
} | Backup & {
  type: "backup";
} | IdentityImport & {
  type: "identity_import";
} | SettingsImport & {
  type: "import";
};

/** The clock beside those of other nodes. */
export type ReportedClock = {
  /** How far it is ahead of the middle one, in seconds, or `null` when too few are known. */
  ahead_s: number | null;
  /** By how much it was set within the last ten minutes, in seconds, or `null`. */
  jump_s: number | null;
  /** How many nodes were listened to. */
  witnesses: number;
};

/** A failure, without its words. */
export type ReportedError = {
  /** How long ago it happened, in seconds. */
  ago_s: number;
  /** Its code, as `docs/ipc.md` lists it. */
  code: string;
};

/** The network interface. */
export type ReportedInterface = {
  /** Largest packet in bytes. */
  mtu: number;
  /** Its name if that is one of our own making, such as `planetary0`, else a pseudonym. */
  name: string;
};

/** One line of the checklist, without words. */
export type ReportedItem = {
  /** Whether traffic suffers from it. */
  affects_connectivity: boolean;
  /** Its code, as `docs/ipc.md` lists it. */
  code: string;
  /** How long it has been so, in seconds, or `null` for a check made just now. */
  for_s: number | null;
  /** How much it matters. */
  severity: Severity;
};

/** A link, without where it goes. */
export type ReportedLink = {
  /** Cost as the routing sees it, or `null` while it is down. */
  cost: number | null;
  /** Who opened it. */
  direction: Direction;
  /** Pseudonym of the other end's host, or `null` when the URI has none. */
  host: string | null;
  /** What kind of host that is: `name`, `ipv4`, `ipv6`, `link_local`, or `none`. */
  host_kind: string;
  /** Pseudonym of the interface it is bound to, or `null`. */
  interface: string | null;
  /** Whether the port is 443, which passes most firewalls. */
  is_port_443: boolean;
  /** The last failure, or `null` if there was none. */
  last_error: ReportedError | null;
  /** Smoothed round-trip time in milliseconds, or `null` before the first measurement. */
  latency_ms: number | null;
  /** Pseudonym of the other node, or `null` before the first handshake. */
  node: string | null;
  /** Priority, 0 to 255. */
  priority: number;
  /** When the next attempt is made, in seconds, or `null` when none is planned. */
  reconnect_in_s: number | null;
  /** Bytes received on this or the last connection. */
  rx_bytes: number;
  /** How it came to be. */
  source: PeerSource;
  /** Whether the other side has not answered in time. */
  suspect: boolean;
  /** Scheme of the URI, or `other`. */
  transport: string;
  /** Bytes sent on this or the last connection. */
  tx_bytes: number;
  /** Whether it carries traffic. */
  up: boolean;
  /** How long the connection has lasted, in seconds, or `null` while it is down. */
  uptime_s: number | null;
};

/** A listener, without its address. */
export type ReportedListener = {
  /** Why it does not, or `null`. */
  last_error: ReportedError | null;
  /** Scheme of the URI, or `other`. */
  transport: string;
  /** Whether it accepts connections. */
  up: boolean;
};

/** The node itself. */
export type ReportedNode = {
  /** Hops to the root of the tree, or `null` while unknown. */
  depth: number | null;
  /** Pseudonym of the node. */
  name: string;
  /** Pseudonym of the parent in the tree, or `null` while unknown. */
  parent: string | null;
  /** How long ago another node last answered, in seconds, or `null` if none has yet. */
  proven_ago_s: number | null;
  /** Pseudonym of the root, or `null` while unknown. */
  root: string | null;
  /** Whether it is on the network. */
  state: State;
  /** How long it has been so, in seconds. */
  state_for_s: number;
  /** How long the service has been running, in seconds. */
  uptime_s: number;
};

/** A key of the configuration, and the class of its value. */
export type ReportedSetting = {
  /** Name of the key, such as `tun.mtu`. */
  name: string;
  /** A word, a number or a count; never a text that a person has written. */
  value: string;
};

/** What a client can ask for. */
export type Request = {
  type: "status";
} | {
  type: "resync";
} | {
  /** The topics wanted from here on; those not named end. */
  topics: Topic[];
  type: "subscribe";
} | {
  type: "up";
} | {
  type: "down";
} | {
  /** Interface to bind to, or none. */
  interface?: string | null;
  type: "peer_add";
  /** Where to dial, with its options. */
  uri: string;
} | {
  /** Interface it is bound to, or none. */
  interface?: string | null;
  type: "peer_remove";
  /** The peer's URI; options are not compared. */
  uri: string;
} | {
  /** Interface it is bound to, or none. */
  interface?: string | null;
  type: "peer_pause";
  /** The peer's URI; options are not compared. */
  uri: string;
} | {
  /** Interface it is bound to, or none. */
  interface?: string | null;
  type: "peer_resume";
  /** The peer's URI; options are not compared. */
  uri: string;
} | {
  /** Which of them. */
  filter?: PublicFilter;
  type: "peer_public";
} | {
  type: "peer_public_refresh";
} | {
  type: "peer_test";
  /** Which; every configured and chosen peer if empty, 256 at most. */
  uris?: string[];
} | {
  /** Whether to keep a link to those chosen from here on. */
  add?: boolean;
  /** How many, 0 to 8; 3 when absent. With 0 all that match are tested, 256 at most, and none is chosen. */
  best?: number | null;
  /** Among which. */
  filter?: PublicFilter;
  type: "peer_choose";
} | {
  /** Number of the job. */
  job: number;
  /** How many results the client has seen. */
  seen?: number;
  type: "peer_job";
} | {
  /** Number of the job. */
  job: number;
  /** How many results the client has seen. */
  seen?: number;
  type: "peer_job_cancel";
} | {
  /** Number of the page, from 0. */
  page?: number;
  type: "topology";
} | {
  /** Address or key. */
  target: string;
  type: "path";
} | {
  /** How many, 1 to 100; 1 when absent. */
  count?: number | null;
  /** Address or key. */
  target: string;
  /** How long to wait for each, in milliseconds, 1 to 30000; 5000 when absent. */
  timeout_ms?: number | null;
  type: "ping";
} | {
  /** Its key. */
  key: string;
  type: "explore";
} | {
  type: "doctor";
} | {
  type: "report";
} | {
  /** Only those after the line of this number; all when absent. */
  after?: number | null;
  /** Only those that matter at least so much; all when absent. */
  level?: LogLevel | null;
  type: "logs";
} | {
  type: "identity_show";
} | {
  type: "settings";
} | {
  /** What to change. */
  change: SettingsChange;
  type: "settings_change";
} | {
  /** The `next` of the part before, or absent for the first. */
  after?: string | null;
  type: "friend_list";
} | {
  /** The `next` of the part before, or absent for the first. */
  after?: string | null;
  type: "friend_blocked";
} | {
  /** Whether its echo requests are answered; yes when absent. */
  echo?: boolean | null;
  /** Its name here; made of the first digits of the key when absent. */
  name?: string | null;
  /** Notes; none when absent. */
  notes?: string;
  /** What it may reach here besides; nothing when absent. */
  services?: string[];
  type: "friend_add";
  /** Key or address. */
  who: string;
} | {
  /** Its key. */
  key: string;
  type: "friend_remove";
} | {
  /** What to change. */
  change: FriendChange;
  /** Its key. */
  key: string;
  type: "friend_change";
} | {
  /** The key. */
  key: string;
  /** A name for a key that is no friend's. */
  name?: string | null;
  /** Why. */
  notes?: string;
  type: "friend_block";
} | {
  /** The key. */
  key: string;
  type: "friend_unblock";
} | {
  /** The book. */
  book: FriendBook;
  /** Whether friends that are here already become as in the book. */
  overwrite?: boolean;
  type: "friend_import";
} | {
  /** What to open. */
  allow?: string[];
  /** What to close: taken away before `allow` is added. */
  deny?: string[];
  type: "open_change";
} | {
  /** A name to suggest. */
  name?: string | null;
  /** Peers to suggest, at most 3; absent for those of this node that lie in the public internet. */
  peers?: string[] | null;
  type: "share";
} | {
  /** For how long, in seconds, 1 to 31622400; until `resume` when absent. */
  for_s?: number | null;
  type: "pause";
} | {
  type: "resume";
} | {
  type: "circle_list";
} | {
  /** Which. */
  circle: string;
  type: "circle_show";
} | {
  /** Its name. */
  name: string;
  type: "circle_create";
} | {
  /** What. */
  draft: CircleDraft;
  type: "circle_draft";
} | {
  /** The draft and its signature of 64 bytes, in Base64. */
  operation: string;
  type: "circle_submit";
} | {
  /** What to change. */
  change: CircleChange;
  /** Which. */
  circle: string;
  type: "circle_change";
} | {
  /** Which circle. */
  circle: string;
  /** Whom. */
  key: string;
  /** What the circle calls it; the friend's name is not told when absent. */
  label?: string | null;
  /** What it may do in the circle. */
  role: MemberRole;
  type: "circle_add";
} | {
  /** Which circle. */
  circle: string;
  /** Whom. */
  key: string;
  type: "circle_remove";
} | {
  /** Which. */
  circle: string;
  type: "circle_accept";
} | {
  /** Which. */
  circle: string;
  type: "circle_leave";
} | {
  /** Which. */
  circle: string;
  type: "circle_forget";
} | {
  /** What to change. */
  change: CircleAccessChange;
  /** Which. */
  circle: string;
  type: "circle_access";
} | {
  /** What it may reach from here on. */
  allow?: string[];
  /** A circle that it belongs to. */
  circle: string;
  /** What it may no longer reach: taken away before `allow` is added. */
  deny?: string[];
  /** Whom. */
  key: string;
  type: "member_access";
} | {
  /** Whether the person is asked before a guest is let in. */
  asks?: boolean;
  /** Which circle. */
  circle: string;
  /** Peers to suggest, at most 3; absent for those of this node that lie in the public internet. */
  peers?: string[] | null;
  /** What guests may do in it; member when absent. */
  role?: MemberRole | null;
  type: "invite_create";
  /** How many guests it lets in, 1 to 50; 1 when absent. */
  uses?: number | null;
  /** For how long, in seconds, 60 to 2678400; 172800 when absent. */
  valid_s?: number | null;
} | {
  type: "invite_list";
} | {
  /** Its number. */
  invite: number;
  type: "invite_revoke";
} | {
  /** What this computer calls itself to the circle; nothing when absent. */
  label?: string | null;
  /** The link, `planetary:join?…`. */
  link: string;
  type: "circle_join";
} | {
  /** The answer. */
  answer: Answer;
  /** Which circle `circle` means; needed where the question names several. */
  circle?: string | null;
  /** Its number. */
  question: number;
  type: "question_answer";
} | {
  type: "visit_list";
} | {
  /** The network, as the status names it. */
  network: string;
  /** Whether nodes are looked for on it. */
  trusted: boolean;
  type: "lan_trust";
} | {
  type: "forward_list";
} | {
  /** What to forward. */
  rule: ForwardRule;
  type: "forward_add";
} | {
  /** Its number. */
  forward: number;
  type: "forward_remove";
} | {
  type: "sealing_key";
} | {
  /** The piece. */
  secret: Sealed;
  type: "sealed_part";
} | {
  /** The passphrase. */
  secret: Sealed;
  type: "identity_export";
} | {
  /** Whether to say only what would be done. */
  dry_run?: boolean;
  /** Whether another identity may be replaced. */
  replace?: boolean;
  /** The passphrase and the file. */
  secret: Sealed;
  type: "identity_import";
} | {
  /** Whether to say only what would be done. */
  dry_run?: boolean;
  /** Whether the node keeps its identity and takes only the rest. */
  keep_identity?: boolean;
  /** Whether another identity, and other values of settings, may be replaced. */
  replace?: boolean;
  /** The settings. */
  secret: Sealed;
  type: "import";
};

/** Why a node is in the topology. */
export type Role = "self" | "peer" | "ancestor" | "path" | "session" | "explored";

/** Why a node carries less than its settings say. */
export type Saving = "metered" | "battery";

/** A secret, sealed to a key of the service. */
export type Sealed = {
  /** The key it is sealed to, from `sealing_key`. */
  key: string;
  /** The last, mostly the only piece of the sealed secret, in Base64: 32 bytes of public key, ciphertext, 16 bytes of tag. */
  text: string;
};

/** A key that seals one secret to the service. */
export type SealingKey = {
  /** How long the service keeps the other half, in seconds. */
  expires_in_s: number;
  /** X25519 public key, 64 hexadecimal digits. */
  key: string;
};

/** The session with a node. */
export type SessionReport = {
  /** What is sealed with at this moment, or `null` without a session. */
  cipher: Cipher | null;
  /** Bytes received, or `null` without a session. */
  rx_bytes: number | null;
  /** How far it is. */
  state: SessionState;
  /** Bytes sent, or `null` without a session. */
  tx_bytes: number | null;
  /** How long it has been open, in seconds, or `null` without a session. */
  uptime_s: number | null;
};

/** How far a session is. */
export type SessionState = "none" | "opening" | "established";

/** Who may open a session to a node. */
export type SessionsSetting = "auto" | "circles" | "everyone";

/** Answer to `settings` and `settings_change`. */
export type Settings = {
  /** Where all of this is kept. */
  config_file: string;
  /** Whose echo requests are answered. */
  echo: Audience;
  /** Where the HTTP proxy listens, `127.0.0.1:8080`, or `null` for none. */
  gateway_http: string | null;
  /** Where the SOCKS5 proxy listens, `127.0.0.1:1080`, or `null` for none. */
  gateway_socks: string | null;
  /** Who may open connections to this computer. */
  inbound: Audience;
  /** Whether other nodes are looked for on the local network. */
  lan: boolean;
  /** Addresses on which other nodes may link to this one, without their options. Those of the service's command line are not among them. */
  listen: string[];
  /** The least severe event that is logged. */
  log_level: LogThreshold;
  /** Where figures for Prometheus are served, `127.0.0.1:9090`, or `null` for nowhere. */
  metrics: string | null;
  /** Whether names such as `ada.pln.internal` are answered on this computer. */
  names: boolean;
  /** Whether the names of program and system stay out of what the node tells about itself. */
  node_info_privacy: boolean;
  /** Where the list of public peers comes from. */
  public_list: PublicList;
  /** Whether newer versions of the program are looked for. */
  release_check: boolean;
  /** Whether it carries next to nothing while this computer runs on its battery. */
  save_on_battery: boolean;
  /** Whether it carries next to nothing while the network is paid by volume. */
  save_on_metered: boolean;
  /** Who may open a session to this node. */
  sessions: SessionsSetting;
  /** What the node carries for others. */
  transit: TransitMode;
};

/** What to change of the settings; what is absent stays. All of it is done, or nothing. */
export type SettingsChange = {
  /** Whose echo requests are answered. */
  echo?: Audience | null;
  /** Where the HTTP proxy listens, a loopback address with a port; empty for none. */
  gateway_http?: string | null;
  /** Where the SOCKS5 proxy listens, a loopback address with a port; empty for none. */
  gateway_socks?: string | null;
  /** Who may open connections to this computer. */
  inbound?: Audience | null;
  /** Whether other nodes are looked for on the local network. */
  lan?: boolean | null;
  /** Addresses to listen on as well, with their options. */
  listen_add?: string[];
  /** Addresses to listen on no more; options are not compared. Taken away before `listen_add` is added. */
  listen_remove?: string[];
  /** The least severe event that is logged. */
  log_level?: LogThreshold | null;
  /** Where figures for Prometheus are served, a loopback address with a port; empty for nowhere. */
  metrics?: string | null;
  /** Whether names such as `ada.pln.internal` are answered on this computer. */
  names?: boolean | null;
  /** Whether the names of program and system stay out of what the node tells about itself. */
  node_info_privacy?: boolean | null;
  /** Key with which the list must be signed, 64 hexadecimal digits; empty for none. */
  public_list_key?: string | null;
  /** URL of the list of public peers; empty for the one that ships with the program. */
  public_list_url?: string | null;
  /** Whether newer versions of the program are looked for. */
  release_check?: boolean | null;
  /** Whether it carries next to nothing while this computer runs on its battery. */
  save_on_battery?: boolean | null;
  /** Whether it carries next to nothing while the network is paid by volume. */
  save_on_metered?: boolean | null;
  /** Who may open a session to this node. */
  sessions?: SessionsSetting | null;
  /** What the node carries for others. */
  transit?: TransitMode | null;
};

/** Answer to `import`: what was taken over, or would be. */
export type SettingsImport = {
  /** Who the node is afterwards, or would be. */
  after: Identity;
  /** Whether it was done; `false` for a dry run, and when there was nothing to do. */
  applied: boolean;
  /** Who the node was. */
  before: Identity;
  /** Configuration file that has the settings. */
  config_file: string;
  /** Whether the two differ. */
  differs: boolean;
  /** Every setting of the imported file, in the order of the file's usual form. */
  items: ImportItem[];
  /** Where the former key is kept, or `null` when it was not replaced. */
  kept: string | null;
};

/** How much a condition matters. */
export type Severity = "ok" | "info" | "warning" | "error";

/** The link that makes this node a friend of whoever follows it. */
export type Shared = {
  /** The key in it. */
  key: string;
  /** The link, `planetary:friend?k=…`. */
  link: string;
  /** Until when strangers who followed the link are listened to. */
  lobby_until: number;
  /** The name in it, or `null`. */
  name: string | null;
  /** The peers in it. */
  peers: string[];
};

/** Whether the node is on the network, in the service's own word. */
export type State = "down" | "connecting" | "connected" | "degraded" | "offline";

/** Everything about the node that a client shows, except the topology. */
export type Status = {
  /** Who may reach this computer. */
  access: Access;
  /** Address of this node, in `200::/8`. */
  address: string;
  /** Grows whenever circles, members, who of them is online, invites or visits change; ask for them again when it does. */
  circles_revision: number;
  /** Place in the tree: the ports from the root down to this node, empty at the root, `null` while unknown. */
  coordinates: number[] | null;
  /** What the packet filter did not let pass; reasons without a packet are left out. */
  dropped: Dropped[];
  /** Grows whenever friends, blocked keys or who is online changes; ask for them again when it does. */
  friends_revision: number;
  /** Proxies and forwarded ports. */
  gateway: Gateway;
  /** Lasting conditions, the worst first; empty when all is well. */
  health: HealthItem[];
  /** Public key of this node, 64 hexadecimal digits. */
  key: string;
  /** What is done about other nodes on the local network. */
  lan: Lan;
  /** Sockets on which this node accepts peers. */
  listeners: ListenerStatus[];
  /** How names such as `ada.pln.internal` are answered on this computer. */
  names: Names;
  /** Key of this node's parent in the tree: its own key at the root, `null` while unknown. */
  parent: string | null;
  /** Number of known paths to other nodes. */
  paths: number;
  /** All links, also those that are down; outbound before inbound. */
  peers: PeerStatus[];
  /** When another node last answered through the network, or `null` if none has yet. */
  proven_at: number | null;
  /** What waits for an answer of the person, the oldest first. */
  questions: Question[];
  /** What is known of newer versions of the program. */
  releases: Releases;
  /** Key of the root of the tree, or `null` while unknown. */
  root: string | null;
  /** Number of nodes whose place in the tree is known. */
  routing_entries: number;
  /** Bytes received over all links since the service started. */
  rx_bytes: number;
  /** Bytes received in the last second, or `null` before the first second is over. */
  rx_rate: number | null;
  /** Number of open sessions with other nodes. */
  sessions: number;
  /** Whether the node is on the network. */
  state: State;
  /** Since when `state` is what it is. */
  state_since: number;
  /** What the node is doing or waiting for, in plain words ("asking 3 peers"), or `null` when there is nothing to say. */
  state_text: string | null;
  /** Routed subnet of this node, in `300::/8`, ending in `/64`. */
  subnet: string;
  /** When this state was taken, by the service's clock. Ages are counted from here, so that two clocks never mix. */
  time: number;
  /** Grows whenever the topology changes; ask for it again when it does. */
  topology_revision: number;
  /** What the node carries for others. */
  transit: Transit;
  /** The TUN interface, or `null` in user-space mode and while the node is down. */
  tun: TunStatus | null;
  /** Bytes sent over all links since the service started. */
  tx_bytes: number;
  /** Bytes sent in the last second, or `null` before the first second is over. */
  tx_rate: number | null;
  /** How long the service has been running, in seconds. */
  uptime_s: number;
  /** Version of the service, such as `0.1.0`. */
  version: string;
};

/** What a question is about. */
export type Subject = {
  /** The circles that it shares with this computer. */
  circles: CircleRef[];
  kind: "knock";
  /** What: one protocol, one port. */
  service: string;
  /** Who. */
  who: Party;
} | {
  /** Which circle. */
  circle: CircleRef;
  /** The number of the invite. */
  invite: number;
  kind: "guest";
  /** Who. `label` is what the guest calls itself. */
  who: Party;
};

/** Answer to `report`: what may be told to anybody. */
export type SupportReport = {
  /** Processor, such as `x86_64`. */
  arch: string;
  /** The clock beside those of other nodes. */
  clock: ReportedClock;
  /** How often what happened, and how much of what there is, by name. */
  counters: Counter[];
  /** What `doctor` says, without its texts. */
  health: ReportedItem[];
  /** The network interface, or `null` in user-space mode and while the node is down. */
  interface: ReportedInterface | null;
  /** All links, also those that are down. */
  links: ReportedLink[];
  /** Sockets on which the node accepts peers. */
  listeners: ReportedListener[];
  /** The node itself. */
  node: ReportedNode;
  /** Operating system, such as `linux`. */
  os: string;
  /** Whether the pseudonyms are those of other reports of this node. They are not when the secret for them could not be kept. */
  pseudonyms_last: boolean;
  /** What is configured, by class: how many, whether, which of a few words. */
  settings: ReportedSetting[];
  /** When it was made, by the service's clock. */
  time: number;
  /** Version of the service, such as `0.1.0`. */
  version: string;
};

/** Updates that come only to those who asked. */
export type Topic = "traffic" | "topology" | "friends" | "circles" | "questions";

/** Nodes and the edges between them, whole or one page of it. */
export type Topology = {
  /** The edges. Their ends may be on another page. */
  edges: Edge[];
  /** The nodes, this node first. */
  nodes: Node[];
  /** Number of this page, from 0. */
  page: number;
  /** Number of pages, at least 1. */
  pages: number;
  /** Which state of the topology this is; equal on all pages. */
  revision: number;
};

/** The moving part of a `Status`. */
export type Traffic = {
  /** As in the status. */
  dropped: Dropped[];
  /** One entry per link. */
  links: LinkTraffic[];
  /** As in the status. */
  paths: number;
  /** As in the status. */
  proven_at: number | null;
  /** As in the status. */
  routing_entries: number;
  /** As in the status. */
  rx_bytes: number;
  /** As in the status. */
  rx_rate: number | null;
  /** As in the status. */
  sessions: number;
  /** As in the status. */
  time: number;
  /** As in the status, of the transit. */
  transit_bytes: number;
  /** As in the status, of the transit. */
  transit_rate: number | null;
  /** As in the status. */
  tx_bytes: number;
  /** As in the status. */
  tx_rate: number | null;
  /** As in the status. */
  uptime_s: number;
};

/** What the node carries for others. */
export type Transit = {
  /** Whether this computer runs on its battery; `null` when it does not say. */
  battery: boolean | null;
  /** Bytes of others that were passed on since the service started. */
  bytes: number;
  /** Whether the system says that its network is paid by volume; `null` when it does not say. */
  metered: boolean | null;
  /** What holds now. */
  mode: TransitMode;
  /** Bytes of others that were passed on in the last second, or `null` before the first second is over. */
  rate: number | null;
  /** Why these differ, or `null`. */
  saving: Saving | null;
  /** What the settings say. */
  setting: TransitMode;
};

/** What a node carries for others. It is said by the place that the node takes in the tree, never by dropping packets. */
export type TransitMode = "relay" | "reluctant" | "leaf";

/** The network interface of the node. */
export type TunStatus = {
  /** Largest packet in bytes. */
  mtu: number;
  /** Name of the interface, such as `planetary0`. */
  name: string;
};

/** Who reached, or tried to reach, what on this computer. Strangers that reach nothing are not among them. */
export type Visit = {
  /** How often. */
  count: number;
  /** When first. */
  first_at: number;
  /** When last. */
  last_at: number;
  /** Whether it got in. */
  outcome: VisitOutcome;
  /** What: one protocol, one port. `null` for echo requests. */
  service: string | null;
  /** Who. */
  who: Party;
};

/** Who reached what since the service was started, the latest first; 256 at most. */
export type VisitList = {
  /** When the list was taken, by the service's clock. */
  time: number;
  /** The visits. */
  visits: Visit[];
};

/** Whether somebody got in. */
export type VisitOutcome = "opened" | "refused";
