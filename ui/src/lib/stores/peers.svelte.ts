// The list of public peers, what tests of them found, and changes to this node's own peers. Which
// links there are is in the status of the service.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import type { PeerJob, PeerStatus, PeerTest, PublicFilter, PublicPeers } from '../api/protocol';
import { progressOf, runJob, type Progress } from './job';
import type { Service } from './service.svelte';

/** Peers in one job, the most the service takes. */
export const TEST_MAX = 256;

/** What names a peer in requests. */
export type PeerName = Pick<PeerStatus, 'uri' | 'interface'>;

export class Peers {
  list = $state.raw<PublicPeers | null>(null);
  /** Why the list could not be read, or not be fetched anew. */
  failure = $state.raw<Failure | null>(null);
  refreshing = $state(false);
  /** The latest test of each public peer, by URI. */
  tests = $state.raw<ReadonlyMap<string, PeerTest>>(new Map());
  /** How far the test that runs is. */
  testing = $state.raw<Progress | null>(null);

  readonly #listed = $derived(new Map(this.list?.peers.map((peer) => [peer.uri, peer])));
  readonly #own = $derived.by(() => {
    const peers = this.service.status?.peers ?? [];
    return new Set(peers.filter((peer) => peer.direction === 'out').map((peer) => peer.uri));
  });
  #loading: Promise<void> | null = null;
  #stop: AbortController | null = null;
  /** Resolves when the job that runs has ended: the service has room for one. */
  #ended: Promise<unknown> = Promise.resolve();

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  /** The entry of the public list for a URI. */
  listed(uri: string) {
    return this.#listed.get(uri);
  }

  /** Whether this node keeps a link to a URI. */
  isOwn(uri: string): boolean {
    return this.#own.has(uri);
  }

  /** Reads the list; a second call while the first is under way waits for that. */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load() {
    try {
      this.list = await this.backend.ask({ type: 'peer_public', filter: {} });
      this.failure = null;
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.failure = error;
    }
  }

  /** Has the service fetch the list anew. */
  async refresh(): Promise<void> {
    if (this.refreshing) return;
    this.refreshing = true;
    try {
      await this.backend.ask({ type: 'peer_public_refresh' });
      await this.load();
    } catch (error) {
      if (!isFailure(error)) throw error;
      // The list itself says why, where the service got as far as trying.
      await this.load();
      if (!this.list?.refresh_error) this.failure = error;
    } finally {
      this.refreshing = false;
    }
  }

  /**
   * Measures the handshake of each URI, in as many jobs as that takes. Answers whether it came to
   * its end. Fails with a `Failure`.
   */
  test(uris: readonly string[]): Promise<boolean> {
    return this.#alone(async (stop) => {
      const began = performance.now();
      let before = 0;
      try {
        this.testing = progressOf(0, uris.length, 0);
        while (before < uris.length && !stop.aborted) {
          const piece = uris.slice(before, before + TEST_MAX);
          const request = { type: 'peer_test' as const, uris: piece };
          await runJob(this.backend, request, stop, ({ results, tested }) => {
            this.tests = new Map([...this.tests, ...results.map((one) => [one.uri, one] as const)]);
            this.testing = progressOf(before + tested, uris.length, performance.now() - began);
          });
          before += piece.length;
        }
        return !stop.aborted;
      } finally {
        this.testing = null;
      }
    });
  }

  /**
   * Tests a sample of the public peers and keeps a link to the best `best` of them from here on.
   * Fails with a `Failure`.
   */
  choose(
    wish: { best: number; filter?: PublicFilter },
    onprogress: (progress: Progress) => void,
  ): Promise<PeerJob> {
    return this.#alone((stop) => {
      const began = performance.now();
      const request = { type: 'peer_choose' as const, add: true, ...wish };
      return runJob(this.backend, request, stop, ({ tested, total }) =>
        onprogress(progressOf(tested, total, performance.now() - began)),
      );
    });
  }

  /** Ends the test or the choice that runs. */
  stop(): void {
    this.#stop?.abort();
  }

  async add({ uri, interface: name }: PeerName): Promise<void> {
    await this.backend.ask({ type: 'peer_add', uri, interface: name });
  }

  async remove({ uri, interface: name }: PeerName): Promise<void> {
    await this.backend.ask({ type: 'peer_remove', uri, interface: name });
  }

  async pause({ uri, interface: name }: PeerName, paused: boolean): Promise<void> {
    const type = paused ? 'peer_pause' : 'peer_resume';
    await this.backend.ask({ type, uri, interface: name });
  }

  /** Does `work` after what was under way has been stopped and has ended. */
  #alone<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
    this.stop();
    const stop = new AbortController();
    this.#stop = stop;
    const done = this.#ended.then(() => work(stop.signal));
    this.#ended = done.catch(() => undefined);
    return done;
  }
}
