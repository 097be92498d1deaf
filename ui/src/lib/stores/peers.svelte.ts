// The list of public peers, what tests of them found, and changes to this node's own peers. Which
// links there are is in the status of the service.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import type { PeerJob, PeerStatus, PeerTest, PublicFilter, PublicPeers } from '../api/protocol';
import { progressOf, runJob, type JobRequest, type Progress } from './job';
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
  async test(uris: readonly string[]): Promise<boolean> {
    const stop = await this.#begin();
    const began = performance.now();
    let before = 0;
    try {
      this.testing = progressOf(0, uris.length, 0);
      while (before < uris.length && !stop.signal.aborted) {
        const piece = uris.slice(before, before + TEST_MAX);
        const job = await this.#run({ type: 'peer_test', uris: piece }, stop, (news) => {
          this.tests = new Map([
            ...this.tests,
            ...news.results.map((one) => [one.uri, one] as const),
          ]);
          const tested = before + news.tested;
          this.testing = progressOf(tested, uris.length, performance.now() - began);
        });
        if (job.cancelled) return false;
        before += piece.length;
      }
      return !stop.signal.aborted;
    } finally {
      this.testing = null;
    }
  }

  /**
   * Tests a sample of the public peers and keeps a link to the best `best` of them from here on.
   * Fails with a `Failure`.
   */
  async choose(
    wish: { best: number; filter?: PublicFilter },
    onprogress: (progress: Progress) => void,
  ): Promise<PeerJob> {
    const stop = await this.#begin();
    const began = performance.now();
    return this.#run({ type: 'peer_choose', add: true, ...wish }, stop, ({ tested, total }) =>
      onprogress(progressOf(tested, total, performance.now() - began)),
    );
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

  async #begin(): Promise<AbortController> {
    this.stop();
    await this.#ended;
    this.#stop = new AbortController();
    return this.#stop;
  }

  #run(request: JobRequest, stop: AbortController, onnews: (job: PeerJob) => void) {
    const job = runJob(this.backend, request, stop.signal, onnews);
    this.#ended = job.catch(() => undefined);
    return job;
  }
}
