// How far a node that connects is, as far as its state tells.

import type { Status } from '../api/protocol';

export type ConnectingStep = 'no_peers' | 'dialing' | 'placing' | 'proving';

export function connectingStep(status: Status): ConnectingStep {
  const usable = status.peers.filter((peer) => !peer.paused);
  if (usable.length === 0) return 'no_peers';
  if (!usable.some((peer) => peer.up)) return 'dialing';
  return status.root === null || status.coordinates === null ? 'placing' : 'proving';
}

/** The lowest latency among the links that are up: how fast the way into the network is. */
export function bestLatency(status: Status): number | null {
  const known = status.peers.flatMap((peer) =>
    peer.up && !peer.suspect && peer.latency_ms !== null ? [peer.latency_ms] : [],
  );
  return known.length > 0 ? Math.min(...known) : null;
}

/** Seconds until the first of the links that are down is tried again. */
export function nextAttempt(status: Status): number | null {
  const planned = status.peers.flatMap((peer) =>
    peer.reconnect_in_s === null ? [] : [peer.reconnect_in_s],
  );
  return planned.length > 0 ? Math.min(...planned) : null;
}
