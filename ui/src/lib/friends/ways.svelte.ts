// How far friends are: asked of the service one at a time, and remembered for a while.

import type { Backend } from '$lib/api/backend';
import type { Friend, PeerStatus } from '$lib/api/protocol';

/** A way through the tree changes with the tree; half a minute is fresh enough to be told. */
export const FRESH_MS = 30_000;

export type Way =
  | { kind: 'direct'; latency_ms: number | null }
  | { kind: 'hops'; hops: number }
  | { kind: 'unknown' };

export class Ways {
  #hops = $state.raw<ReadonlyMap<string, number | null>>(new Map());
  readonly #asked = new Map<string, number>();
  #wanted: string[] = [];
  #asking = false;

  constructor(readonly backend: Backend) {}

  /** The way to a friend: over a link of our own, or as far as was last heard. */
  to(friend: Friend, peers: readonly PeerStatus[]): Way {
    const link = peers.find((peer) => peer.up && peer.key === friend.key);
    if (link) return { kind: 'direct', latency_ms: link.latency_ms };
    const hops = this.#hops.get(friend.key) ?? null;
    return hops === null ? { kind: 'unknown' } : { kind: 'hops', hops };
  }

  /** Finds out about these keys, those asked longest ago first; what is fresh is left alone. */
  async want(keys: readonly string[]): Promise<void> {
    const stale = keys.filter(
      (key) => Date.now() - (this.#asked.get(key) ?? -FRESH_MS) >= FRESH_MS,
    );
    stale.sort((a, b) => (this.#asked.get(a) ?? 0) - (this.#asked.get(b) ?? 0));
    this.#wanted = [...new Set([...stale, ...this.#wanted])];
    if (this.#asking) return;
    this.#asking = true;
    try {
      for (let key = this.#wanted.shift(); key !== undefined; key = this.#wanted.shift()) {
        this.#asked.set(key, Date.now());
        this.#hops = new Map(this.#hops).set(key, await this.#ask(key));
      }
    } finally {
      this.#asking = false;
    }
  }

  async #ask(target: string): Promise<number | null> {
    try {
      return (await this.backend.ask({ type: 'path', target })).distance;
    } catch {
      // Nobody knows a way at the moment: the row says nothing about it.
      return null;
    }
  }
}

const known = new WeakMap<Backend, Ways>();

/** The one for a backend: whoever shows friends asks through it, so that none asks twice. */
export function waysOf(backend: Backend): Ways {
  const ways = known.get(backend) ?? new Ways(backend);
  known.set(backend, ways);
  return ways;
}
