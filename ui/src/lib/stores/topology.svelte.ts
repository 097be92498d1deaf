// The part of the network that the node knows, asked for anew when it changed and somebody looks.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import type { Topology as Snapshot } from '../api/protocol';
import type { Service } from './service.svelte';

/** A topology that changes all the time is drawn anew at most so often. */
const REST_MS = 1000;

export class Topology {
  snapshot = $state.raw<Snapshot | null>(null);
  failure = $state.raw<Failure | null>(null);
  #revision = -1;
  #asking = false;
  #again = false;
  #stopped = true;

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  /** Keeps the snapshot fresh until the returned function is called. */
  start(): () => void {
    this.#stopped = false;
    const unwant = this.service.want('topology');
    const stop = this.backend.on('topology', () => void this.load());
    const unfollow = $effect.root(() => {
      $effect(() => {
        const { ready, status } = this.service;
        if (ready && status?.topology_revision !== this.#revision) void this.load();
      });
    });
    return () => {
      this.#stopped = true;
      unwant();
      stop();
      unfollow();
    };
  }

  async load(): Promise<void> {
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    this.#revision = this.service.status?.topology_revision ?? -1;
    try {
      this.snapshot = await this.#whole();
      this.failure = null;
    } catch (error) {
      if (isFailure(error)) this.failure = error;
    }
    setTimeout(() => {
      this.#asking = false;
      if (this.#again && !this.#stopped) {
        this.#again = false;
        void this.load();
      }
    }, REST_MS);
  }

  /** All pages as one. A page may be gone when the snapshot was taken long ago: then again. */
  async #whole(): Promise<Snapshot> {
    const first = await this.backend.ask({ type: 'topology', page: 0 });
    const nodes = [...first.nodes];
    const edges = [...first.edges];
    for (let page = 1; page < first.pages; page += 1) {
      const next = await this.backend.ask({ type: 'topology', page });
      nodes.push(...next.nodes);
      edges.push(...next.edges);
    }
    return { ...first, nodes, edges };
  }
}
