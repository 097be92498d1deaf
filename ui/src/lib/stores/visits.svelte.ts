// Who reached what on this computer lately. Asked for while it is on display.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import type { Visit } from '../api/protocol';
import type { Service } from './service.svelte';

export class Visits {
  list = $state.raw<Visit[] | null>(null);
  failure = $state.raw<Failure | null>(null);
  #loading = Promise.resolve();

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  /** Keeps the list as it is at the service, until the returned function is called. */
  start(): () => void {
    const unwant = this.service.want('circles');
    const stop = this.backend.on('circles', () => void this.load());
    const unfollow = $effect.root(() => {
      $effect(() => {
        if (this.service.ready) void this.load();
      });
    });
    return () => {
      unwant();
      stop();
      unfollow();
    };
  }

  /** Asks anew; what is asked while an answer is on its way is asked once more after it. */
  load(): Promise<void> {
    this.#loading = this.#loading.then(() => this.#ask());
    return this.#loading;
  }

  async #ask(): Promise<void> {
    try {
      this.list = (await this.backend.ask({ type: 'visit_list' })).visits;
      this.failure = null;
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.failure = error;
    }
  }
}
