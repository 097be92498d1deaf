// The made-up network: who is in it, what is listed, what went wrong.

import type {
  BlockedKey,
  Friend,
  HealthItem,
  LogLine,
  PeerStatus,
  PublicPeer,
  Releases,
  Status,
} from '../protocol';
import { addressOf, subnetOf } from './address';
import { hex, pick, seeded } from './random';
import type { Scenario, Scene } from './scenario';

/** When the scenes play, in seconds since 1970. */
export const START = 1_795_000_000;
const random = seeded(7);
const keyOf = (lead: string) => lead + hex(random, 64 - lead.length);

export const OWN_KEY = keyOf('000001fb');
export const ROOT_KEY = keyOf('00000000');

function peer(link: number, uri: string, more: Partial<PeerStatus>): PeerStatus {
  const key = keyOf(pick(random, ['0000', '000', '0000a']));
  return {
    link,
    uri,
    interface: null,
    direction: 'out',
    source: 'chosen',
    paused: false,
    up: true,
    suspect: false,
    key,
    address: addressOf(key),
    port: link,
    priority: 0,
    cost: 24_000,
    latency_ms: 24,
    rx_bytes: 812_000_000,
    tx_bytes: 96_000_000,
    rx_rate: 0,
    tx_rate: 0,
    uptime_s: 9_260,
    reconnect_in_s: null,
    last_error: null,
    ...more,
  };
}

export const DOWN: Partial<PeerStatus> = {
  up: false,
  port: null,
  cost: null,
  latency_ms: null,
  rx_rate: null,
  tx_rate: null,
  uptime_s: null,
};

export const PEERS: PeerStatus[] = [
  peer(1, 'tls://falkenstein.peers.example:443', { latency_ms: 23.6 }),
  peer(2, 'quic://strasbourg.mesh.example:7443', {
    latency_ms: 31.2,
    cost: 31_000,
    uptime_s: 9_258,
    rx_bytes: 402_000_000,
    tx_bytes: 38_400_000,
  }),
  peer(3, 'tcp://[2001:db8:71::4]:12345', {
    source: 'config',
    latency_ms: 48.4,
    cost: 48_000,
    uptime_s: 122,
    rx_bytes: 2_400_000,
    tx_bytes: 1_130_000,
    last_error: {
      code: 'peer_timeout',
      message: 'the other node did not answer in time',
      at: START - 131,
    },
  }),
  peer(4, 'tls://192.0.2.44:61022', {
    source: 'inbound',
    direction: 'in',
    latency_ms: 5.1,
    cost: 5_100,
    uptime_s: 640,
    rx_bytes: 18_200_000,
    tx_bytes: 71_900_000,
  }),
  peer(5, 'tls://oslo.relay.example:8443', {
    ...DOWN,
    source: 'config',
    reconnect_in_s: 34,
    rx_bytes: 0,
    tx_bytes: 0,
    last_error: { code: 'dial_timeout', message: 'nothing answered', at: START - 12 },
  }),
  peer(6, 'ws://quiet.example:80', {
    ...DOWN,
    source: 'config',
    paused: true,
    key: null,
    address: null,
  }),
];

/** Links of the transports that the usual ones lack, so that all can be looked at. */
export const OTHER_PEERS: PeerStatus[] = [
  peer(7, 'tls://[fe80::5c1f:aff:fe77:d2be%25wlan0]:40971', {
    source: 'lan',
    interface: 'wlan0',
    latency_ms: 1.4,
    cost: 1_400,
    uptime_s: 3_310,
    rx_bytes: 64_300_000,
    tx_bytes: 212_000_000,
  }),
  peer(8, 'tls://[fe80::21a:2bff:fe3c:4d5e%25eth0]:51822', {
    source: 'lan',
    direction: 'in',
    interface: 'eth0',
    latency_ms: 0.6,
    cost: 600,
    uptime_s: 1_204,
    rx_bytes: 3_900_000,
    tx_bytes: 2_100_000,
  }),
  peer(9, 'wss://front.mesh.example:443/way', { source: 'config', latency_ms: 38.4 }),
  peer(10, 'unix:///run/other/node.sock', { source: 'config', latency_ms: 0.1, cost: 100 }),
  peer(11, 'socks://127.0.0.1:9050/hidden.relay.example:9443', {
    source: 'config',
    latency_ms: 214,
    cost: 214_000,
  }),
  peer(12, 'sockstls://proxy.example:1080/[2001:db8:44::9]:443', {
    ...DOWN,
    source: 'config',
    reconnect_in_s: 12,
    last_error: { code: 'dial_timeout', message: 'nothing answered', at: START - 9 },
  }),
];

/** What is known of newer versions. */
export function releasesOf({ releases }: Pick<Scenario, 'releases'>, on: boolean): Releases {
  const none = { checked_at: null, error: null, newer: null };
  if (releases === 'unavailable') return { check: 'unavailable', ...none };
  if (!on) return { check: 'off', ...none };
  const known: Releases = { check: 'on', ...none, checked_at: START - 4_300 };
  if (releases === 'newer') {
    const notes_url = 'https://planetary.example/releases/0.2.0';
    return { ...known, newer: { version: '0.2.0', date: '2026-11-14', notes_url } };
  }
  const message = 'the list of versions is not signed with the release key of this program';
  const error = { code: 'versions_not_signed', message, at: START - 900 };
  return releases === 'failed' ? { ...known, error } : known;
}

export function status(scene: Scene): Status {
  const empty = scene === 'empty';
  const parent = PEERS[0]?.key ?? null;
  const base: Status = {
    time: START,
    state: 'connected',
    state_text: null,
    state_since: START - 9_250,
    proven_at: START - 4,
    key: OWN_KEY,
    address: addressOf(OWN_KEY),
    subnet: subnetOf(OWN_KEY),
    coordinates: [4, 19, 2, 7],
    root: ROOT_KEY,
    parent,
    version: '0.1.0',
    uptime_s: 9_300,
    peers: PEERS.map((one) => ({ ...one })),
    listeners: [{ uri: 'tls://[::]:9443', up: true, last_error: null }],
    tun: { name: 'planetary0', mtu: 65_535 },
    sessions: 5,
    paths: 14,
    routing_entries: 61,
    rx_bytes: 1_240_000_000,
    tx_bytes: 210_000_000,
    rx_rate: 12_400_000,
    tx_rate: 1_100_000,
    access: {
      inbound: 'circles',
      echo: 'circles',
      sessions: 'circles',
      paused: null,
      friends: FRIENDS.length,
      circles: 0,
      members: 0,
      blocked: BLOCKED.length,
      everyone: [],
      lobby_until: null,
    },
    dropped: [
      { reason: 'no rule', direction: 'in', packets: 214 },
      { reason: 'no session', direction: 'in', packets: 31 },
    ],
    health: [],
    topology_revision: 1,
    friends_revision: 1,
    circles_revision: 1,
    questions: [],
    lan: { enabled: true, links: 0, max_links: 8, interfaces: [] },
    transit: {
      setting: 'reluctant',
      mode: 'reluctant',
      saving: null,
      bytes: 0,
      rate: null,
      metered: null,
      battery: null,
    },
    gateway: {
      user_space: false,
      socks: null,
      http: null,
      dns: null,
      forwards: 0,
      connections: 0,
    },
    releases: releasesOf({ releases: 'newest' }, true),
    names: {
      state: 'wired',
      suffix: 'pln.internal',
      server: subnetOf(OWN_KEY).replace('::/64', '::53'),
      resolver: 'systemd-resolved',
      hint: null,
    },
  };
  const none = { sessions: 0, paths: 0, rx_rate: 0, tx_rate: 0, rx_bytes: 0, tx_bytes: 0 };
  const lost = base.peers.map((one) => ({
    ...one,
    ...DOWN,
    reconnect_in_s: one.paused ? null : 8,
    last_error: { code: 'dial_timeout', message: 'nothing answered', at: START - 3 },
  }));
  switch (scene) {
    case 'down':
      return {
        ...base,
        ...none,
        state: 'down',
        state_since: START - 60,
        coordinates: null,
        root: null,
        parent: null,
        proven_at: null,
        tun: null,
        peers: base.peers
          .filter((one) => one.direction === 'out')
          .map((one) => ({ ...one, ...DOWN })),
      };
    case 'connecting':
    case 'welcome':
      return {
        ...base,
        ...none,
        state: 'connecting',
        state_text: 'asking 3 peers',
        state_since: START - (scene === 'welcome' ? 1 : 12),
        coordinates: null,
        root: null,
        parent: null,
        proven_at: null,
        peers: scene === 'welcome' ? [] : lost.filter((one) => one.direction === 'out'),
      };
    case 'degraded':
      return {
        ...base,
        state: 'degraded',
        state_since: START - 40,
        peers: base.peers.map((one, at) =>
          at === 0 ? { ...one, suspect: true, latency_ms: 412 } : one,
        ),
        health: [CONDITIONS.peer_down, CONDITIONS.root_changes],
      };
    case 'offline':
      return {
        ...base,
        ...none,
        state: 'offline',
        state_since: START - 75,
        coordinates: null,
        root: null,
        parent: null,
        proven_at: START - 96,
        peers: lost.filter((one) => one.direction === 'out'),
        health: [CONDITIONS.no_peer_connected],
      };
    case 'paused':
      return { ...base, access: { ...base.access, paused: { until: START + 5_400 } } };
    case 'open':
      return { ...base, access: { ...base.access, inbound: 'everyone', everyone: ['tcp/80'] } };
    default:
      return {
        ...base,
        ...(empty
          ? {
              ...none,
              state: 'connecting',
              state_text: 'no peers yet',
              peers: [],
              listeners: [],
              proven_at: null,
              coordinates: [],
              root: OWN_KEY,
              parent: OWN_KEY,
              dropped: [],
              access: { ...base.access, friends: 0, blocked: 0 },
              health: [CONDITIONS.no_peers_configured],
            }
          : {}),
      };
  }
}

const item = (
  code: string,
  severity: HealthItem['severity'],
  title: string,
  text: string,
  action: string | null = null,
  affects_connectivity = false,
): HealthItem => ({
  code,
  severity,
  title,
  text,
  action,
  affects_connectivity,
  since: severity === 'ok' ? null : START - 62,
});

export const CONDITIONS = {
  peer_down: item(
    'peer_down',
    'warning',
    'A peer is not connected',
    'tls://oslo.relay.example:8443: nothing answered',
    'planetary peer list',
  ),
  root_changes: item(
    'root_changes',
    'warning',
    'The root changes often',
    'the root of the tree has changed 3 times within 10 minutes',
    null,
    true,
  ),
  no_peer_connected: item(
    'no_peer_connected',
    'error',
    'No peer is connected',
    'none of 4 peers answered',
    'check the connection to the internet',
    true,
  ),
  no_peers_configured: item(
    'no_peers_configured',
    'error',
    'There are no peers',
    'the node has no way to the network',
    'planetary peer public --best 3 --add',
    true,
  ),
} satisfies Record<string, HealthItem>;

export function checks(now: Status): HealthItem[] {
  const good = (code: string, title: string, text: string) => item(code, 'ok', title, text);
  if (now.state === 'down') {
    return [
      good('service', 'The service runs', 'planetaryd 0.1.0, for 2 h 35 min'),
      good('identity', 'The node has its key', now.address),
      item('down', 'info', 'The node is switched off', 'no links are made', 'planetary up'),
    ];
  }
  const up = now.peers.filter((one) => one.up).length;
  const all = [
    good('service', 'The service runs', 'planetaryd 0.1.0, for 2 h 35 min'),
    good('identity', 'The node has its key', now.address),
    good('config', 'The configuration was read', '/etc/planetary/config.toml'),
    good('state', 'The records are whole', '/var/lib/planetary'),
    good('up', 'The node is switched on', 'since 2 h 35 min'),
    good('rights', 'The interface may be configured', 'CAP_NET_ADMIN'),
    good('tun', 'The interface is as it was made', 'planetary0, MTU 65535'),
    good('alone', 'Nothing else uses these addresses', 'no other overlay was found'),
    good('listen', 'Others can link to this node', 'tls://[::]:9443'),
    ...(up > 0 ? [good('peers', 'A link is up', `${up} of ${now.peers.length} peers`)] : []),
    ...(now.root && up > 0
      ? [good('tree', 'The node has its place', 'four links below the root')]
      : []),
    ...(now.proven_at && up > 0 ? [good('proof', 'Another node has answered', '4 s ago')] : []),
    good('names', 'Names of peers resolve', '4 names'),
    good('clock', 'The clock agrees with others', '12 nodes'),
    good('room', 'The service has room', '38 of 1024 files, 21 MiB, 48 GiB on the disk'),
  ];
  if (now.lan.interfaces.some(({ state }) => state === 'unknown')) {
    all.push(
      item(
        'lan_not_trusted',
        'info',
        'Other nodes may be near',
        'nodes are not looked for on “Harbour Cafe”',
        'planetary lan trust 5c1f0a77d2be9043',
      ),
    );
  }
  // A problem stands in the place of the good answer to the same question.
  const wrong = new Set(now.health.map(({ code }) => REPLACED[code]));
  return [...now.health, ...all.filter(({ code }) => !wrong.has(code))];
}

const REPLACED: Record<string, string> = {
  peer_down: 'peers',
  no_peer_connected: 'peers',
  no_peers_configured: 'peers',
  root_changes: 'tree',
};

/** The name for programs that a name makes, or `null`. */
export function hostOf(name: string): string | null {
  const label = name
    .toLowerCase()
    .replace(/[’']/g, '')
    .replace(/[^\p{L}\p{N}]+/gu, '-');
  const host = `${label.replace(/^-|-$/g, '')}.pln.internal`;
  // The rules of international names are the browser's.
  return URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : null;
}

const friend = (name: string, more: Partial<Friend>): Friend => {
  const key = more.key ?? keyOf('0000');
  return {
    key,
    name,
    address: addressOf(key),
    host: hostOf(name),
    subnet: subnetOf(key),
    echo: true,
    services: [],
    verified: false,
    blocked: false,
    notes: '',
    added_at: START - 1_209_600,
    last_seen: START - 20,
    online: true,
    ...more,
  };
};

const directKey = PEERS[3]?.key;
export const FRIENDS: Friend[] = [
  friend('Ada', { services: ['tcp/22'], verified: true, notes: 'Met at the summer school.' }),
  friend('Aurelie’s laptop', {
    ...(directKey ? { key: directKey } : {}),
    services: ['tcp/22', 'tcp/8000-8100', 'udp/5353'],
    verified: true,
  }),
  friend('Grandma', { online: false, last_seen: START - 93_000 }),
  friend('Home server', { services: ['tcp/any'], verified: true }),
  friend('Jörg', { online: false, last_seen: START - 5_400, echo: false }),
  friend('Михаил', { services: ['tcp/443'] }),
  friend('Old phone', { online: false, last_seen: null, blocked: true }),
];

const blockedKey = keyOf('0000bad');
export const BLOCKED: BlockedKey[] = [
  {
    key: blockedKey,
    address: addressOf(blockedKey),
    name: null,
    friend: false,
    notes: 'Scanned every port on Tuesday.',
    blocked_at: START - 400_000,
  },
  ...FRIENDS.filter((one) => one.blocked).map(({ key, address, name }) => ({
    key,
    address,
    name,
    friend: true,
    notes: '',
    blocked_at: START - 86_400,
  })),
];

/** Friends without a story, so that there are `count` of them. */
export function moreFriends(count: number): Friend[] {
  return Array.from({ length: Math.max(0, count - FRIENDS.length) }, (_, at) =>
    friend(`Friend ${at + 1}`, { online: at % 3 === 0, services: at % 2 === 0 ? ['tcp/22'] : [] }),
  );
}

const PLACES: [string, string, string][] = [
  ['europe', 'germany', 'falkenstein.peers.example'],
  ['europe', 'germany', 'nuremberg.mesh.example'],
  ['europe', 'germany', 'berlin.commons.example'],
  ['europe', 'france', 'strasbourg.mesh.example'],
  ['europe', 'france', 'paris.relay.example'],
  ['europe', 'netherlands', 'ams.peers.example'],
  ['europe', 'netherlands', 'meppel.relay.example'],
  ['europe', 'sweden', 'lund.commons.example'],
  ['europe', 'russia', 'msk.peers.example'],
  ['europe', 'russia', 'spb.mesh.example'],
  ['europe', 'ukraine', 'lviv.mesh.example'],
  ['europe', 'united-kingdom', 'london.relay.example'],
  ['north-america', 'united-states', 'newark.peers.example'],
  ['north-america', 'united-states', 'fremont.mesh.example'],
  ['north-america', 'united-states', 'dallas.commons.example'],
  ['north-america', 'canada', 'montreal.relay.example'],
  ['asia', 'singapore', 'sgp.peers.example'],
  ['asia', 'japan', 'tokyo.mesh.example'],
  ['asia', 'hong-kong', 'hkg.relay.example'],
  ['south-america', 'brazil', 'saopaulo.peers.example'],
  ['oceania', 'australia', 'sydney.mesh.example'],
  ['africa', 'south-africa', 'capetown.relay.example'],
  ['mena', 'saudi-arabia', 'jeddah.peers.example'],
];

export const PUBLIC: PublicPeer[] = PLACES.flatMap(([region, country, host], at) =>
  ['tls', 'tcp', 'quic', 'ws', 'wss', 'masque']
    .slice(0, 1 + ((at + 3) % 6))
    .map((transport, port) => ({
      uri: `${transport}://${host}:${transport === 'tls' && at % 3 === 0 ? 443 : 7000 + at * 10 + port}`,
      region,
      country,
      transport,
      // A transport of the future, which this node does not have.
      usable: transport !== 'masque',
      in_use: at === 0 && port === 0,
      record:
        at % 4 === 0
          ? {
              tries: 12,
              answers: 12 - (at % 5),
              best_ms: 18 + at * 5,
              median_ms: 21 + at * 6,
              last_good: START - 3_600 * (1 + at),
            }
          : null,
    })),
);

/** How far a public peer is, in milliseconds; `null` for one that does not answer. */
export function distanceOf(uri: string): number | null {
  const at = PLACES.findIndex(([, , host]) => uri.includes(host));
  if (at % 6 === 5) return null;
  const far = [
    18, 27, 31, 29, 36, 24, 33, 44, 52, 61, 47, 39, 96, 148, 121, 101, 178, 231, 203, 198, 287, 166,
    74,
  ];
  return (far[Math.max(0, at)] ?? 90) + (uri.length % 7) * 0.4;
}

const LOG: LogLine[] = (
  [
    ['info', 'planetaryd::lifecycle', 'service started version=0.1.0'],
    ['info', 'planetary_runtime::tun', 'interface opened name=planetary0 mtu=65535'],
    ['info', 'planetary_runtime::links', 'listening uri=tls://[::]:9443'],
    ['info', 'planetary_runtime::links', 'link established link=1 rtt_ms=23.6'],
    ['info', 'planetary_runtime::links', 'link established link=2 rtt_ms=31.2'],
    ['info', 'planetaryd::node', 'connected after_s=0.42'],
    ['warn', 'planetary_runtime::links', 'link lost link=3 error=peer_timeout'],
    ['info', 'planetary_runtime::links', 'link established link=3 rtt_ms=48.4'],
    ['warn', 'planetary_runtime::links', 'cannot link link=5 error=dial_timeout'],
    [
      'error',
      'planetaryd::public',
      'the list of public peers was not fetched error=name_not_resolved',
    ],
  ] as const
).map(([level, target, text], at) => ({
  number: at + 1,
  at: START - 9_300 + at * 17,
  level,
  target,
  text,
}));

const LATER: [LogLine['level'], string, string][] = [
  ['info', 'planetary_runtime::links', 'link measured link=1 rtt_ms=24.1'],
  ['info', 'planetaryd::control', 'client connected clients=2'],
  ['warn', 'planetary_runtime::links', 'cannot link link=5 error=dial_timeout'],
  ['info', 'planetary_runtime::sessions', 'session opened sessions=6'],
];
const LATER_EVERY_S = 7;

/** The log as it is at `time`: a line more every few seconds. */
export function logUntil(time: number): LogLine[] {
  const more = Math.max(0, Math.floor((time - START) / LATER_EVERY_S));
  const lines = Array.from({ length: more }, (_, at): LogLine => {
    const [level, target, text] = LATER[at % LATER.length] ?? ['info', '', ''];
    return { number: LOG.length + at + 1, at: START + at * LATER_EVERY_S, level, target, text };
  });
  return [...LOG, ...lines];
}
