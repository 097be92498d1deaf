// Forwarded ports. What runs through them moves without being told, so they are asked for again
// and again while they are on display.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import type { Forward, ForwardRule } from '../api/protocol';
import type { Service } from './service.svelte';

const AGAIN_MS = 2000;

export class Forwards {
  list = $state.raw<Forward[] | null>(null);
  failure = $state.raw<Failure | null>(null);
  #loading = Promise.resolve();
  /** Questions whose answers have not come. */
  #asked = 0;

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  /** Keeps the list as it is at the service, until the returned function is called. */
  start(): () => void {
    const clock = setInterval(() => {
      // A service that is slow is not asked faster than it answers.
      if (this.service.ready && this.#asked === 0) void this.load();
    }, AGAIN_MS);
    const unfollow = $effect.root(() => {
      $effect(() => {
        if (this.service.ready) void this.load();
      });
    });
    return () => {
      clearInterval(clock);
      unfollow();
    };
  }

  /** Asks anew, one question after the other, so that the latest answer stays. */
  load(): Promise<void> {
    this.#asked += 1;
    const done = () => (this.#asked -= 1);
    this.#loading = this.#loading.then(() => this.#ask()).finally(done);
    return this.#loading;
  }

  async #ask(): Promise<void> {
    try {
      this.list = (await this.backend.ask({ type: 'forward_list' })).forwards;
      this.failure = null;
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.failure = error;
    }
  }

  async add(rule: ForwardRule): Promise<Forward> {
    const added = await this.backend.ask({ type: 'forward_add', rule });
    await this.load();
    return added;
  }

  async remove(forward: number): Promise<void> {
    await this.backend.ask({ type: 'forward_remove', forward });
    await this.load();
  }
}
