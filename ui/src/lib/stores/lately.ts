// What changed lately, told by comparing two states that follow each other.

import type { PeerStatus, Status } from '../api/protocol';
import { peerUri } from '../format';

export type Happening =
  | { kind: 'peer_up'; peer: string; at: number }
  | { kind: 'peer_down'; peer: string; code: string | null; at: number }
  | { kind: 'connected'; after_s: number | null; at: number }
  | { kind: 'lost'; at: number }
  | { kind: 'root_changed'; at: number }
  | { kind: 'switched_off'; at: number };

/** At most so many are kept; Home shows the first few. */
export const HAPPENINGS_MAX = 30;

/** The happenings between `before` and `now`, the latest first. */
export function happenings(before: Status, now: Status): Happening[] {
  const at = now.time;
  const found: Happening[] = [];
  const proven = (status: Status) => status.state === 'connected' || status.state === 'degraded';
  if (before.state !== now.state) {
    if (now.state === 'down') found.push({ kind: 'switched_off', at });
    else if (proven(now) && !proven(before)) {
      // The first time is no return.
      const back = before.state !== 'down' && before.proven_at !== null;
      const after_s = back ? Math.max(0, at - before.state_since) : null;
      found.push({ kind: 'connected', after_s, at });
    } else if (proven(before) && !proven(now)) found.push({ kind: 'lost', at });
  }
  if (now.state === 'down') return found;
  if (before.root !== null && now.root !== null && before.root !== now.root) {
    found.push({ kind: 'root_changed', at });
  }
  const earlier = new Map(before.peers.map((peer) => [peer.link, peer]));
  for (const peer of now.peers) {
    const was = earlier.get(peer.link)?.up ?? false;
    if (peer.up && !was) found.push({ kind: 'peer_up', peer: nameOf(peer), at });
    if (!peer.up && was && !peer.paused) {
      found.push({
        kind: 'peer_down',
        peer: nameOf(peer),
        code: peer.last_error?.code ?? null,
        at,
      });
    }
  }
  // Who dialled us and went away is no longer listed.
  const here = new Set(now.peers.map((peer) => peer.link));
  for (const peer of before.peers) {
    if (peer.up && peer.direction === 'in' && !here.has(peer.link)) {
      found.push({ kind: 'peer_down', peer: nameOf(peer), code: null, at });
    }
  }
  return found;
}

/**
 * What to call a peer in a sentence: its host. One that was found on the local network has none
 * that says anything, and goes by its address.
 */
export function nameOf({ uri, source, address }: PeerStatus): string {
  return (source === 'lan' ? address : null) ?? peerUri(uri).host;
}
