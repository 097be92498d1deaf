// How far another node is, told from the way to it and a few echo requests.

import type { Failure } from '../api/backend';
import type { Friend, PathReport, PeerStatus, Status } from '../api/protocol';
import { nameOf } from '../stores/lately';

export type Way = 'self' | 'direct' | 'relayed' | 'unknown';
export type Speed = 'fast' | 'fair' | 'slow' | 'silent';

export interface Distance {
  way: Way;
  /** Nodes on the tree between here and there, and the target itself. */
  hops: number | null;
  /** The peer that it goes over first. */
  via: string | null;
  via_ms: number | null;
  sent: number;
  lost: number;
  min_ms: number | null;
  avg_ms: number | null;
  max_ms: number | null;
  speed: Speed;
  /** Where most of the time goes: to the first peer or beyond it. `null` when it cannot be told. */
  slow_part: 'first' | 'beyond' | null;
}

/** Round trips up to here feel immediate, and up to here like a call to the next continent. */
const FAST_MS = 60;
const FAIR_MS = 150;

/** What the way and the echo requests say; a reply of `null` was not answered in time. */
export function distance(
  path: PathReport | null,
  replies: readonly (number | null)[],
  status: Status,
): Distance {
  const answered = replies.filter((ms) => ms !== null);
  const total = answered.reduce((sum, ms) => sum + ms, 0);
  const avg_ms = answered.length > 0 ? total / answered.length : null;
  const way = wayOf(path, status);
  const first = way === 'relayed' ? path?.next_hops[0] : undefined;
  const via = first ? status.peers.find((peer) => peer.key === first.key && peer.up) : undefined;
  const via_ms = first?.latency_ms ?? via?.latency_ms ?? null;
  return {
    way,
    hops: way === 'direct' ? 1 : (path?.distance ?? null),
    via: first ? (via ? nameOf(via) : first.address) : null,
    via_ms,
    sent: replies.length,
    lost: replies.length - answered.length,
    min_ms: answered.length > 0 ? Math.min(...answered) : null,
    avg_ms,
    max_ms: answered.length > 0 ? Math.max(...answered) : null,
    speed: speedOf(avg_ms),
    slow_part: avg_ms === null || via_ms === null ? null : via_ms * 2 > avg_ms ? 'first' : 'beyond',
  };
}

function wayOf(path: PathReport | null, status: Status): Way {
  if (!path) return 'unknown';
  if (path.key === status.key) return 'self';
  if (status.peers.some((peer) => peer.up && peer.key === path.key)) return 'direct';
  return path.next_hops.length > 0 ? 'relayed' : 'unknown';
}

export function speedOf(ms: number | null): Speed {
  if (ms === null) return 'silent';
  return ms <= FAST_MS ? 'fast' : ms <= FAIR_MS ? 'fair' : 'slow';
}

/** The friend that `text` names: wholly, or as the only one whose name begins so. */
export function friendNamed(text: string, friends: readonly Friend[]): Friend | null {
  const wish = text.trim().toLocaleLowerCase();
  if (wish === '') return null;
  const whole = friends.find((friend) => friend.name.toLocaleLowerCase() === wish);
  if (whole) return whole;
  const begun = friends.filter((friend) => friend.name.toLocaleLowerCase().startsWith(wish));
  return begun.length === 1 ? (begun[0] ?? null) : null;
}

/** The links that carry traffic, the quickest first; those not measured yet last. */
export function linksBySpeed(peers: readonly PeerStatus[]): PeerStatus[] {
  const up = peers.filter((peer) => peer.up);
  return up.sort((a, b) => (a.latency_ms ?? Infinity) - (b.latency_ms ?? Infinity));
}

export type Advice = 'none' | 'suspect' | 'far' | 'good';

/** What the links say about how fast the network can be from here. */
export function adviceOf(links: readonly PeerStatus[]): Advice {
  const [best] = links;
  if (!best) return 'none';
  const sound = links.filter((link) => !link.suspect && link.latency_ms !== null);
  if (sound.length === 0) return 'suspect';
  if ((sound[0]?.latency_ms ?? 0) > FAIR_MS) return 'far';
  return links.some((link) => link.suspect) ? 'suspect' : 'good';
}

export function isSilent(failure: Failure): boolean {
  return failure.code === 'unreachable';
}
