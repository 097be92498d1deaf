// The log as far as it was read. It is asked for only while somebody looks at it.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import { extend, type Entry } from './log';

export const POLL_MS = 2000;

export class Logbook {
  entries = $state.raw<readonly Entry[] | null>(null);
  failure = $state.raw<Failure | null>(null);
  paused = $state(false);
  #after = 0;
  #anew = false;
  #asking = false;

  constructor(readonly backend: Backend) {}

  /** Reads on, now and every two seconds, until the returned function is called. */
  follow(): () => void {
    const read = () => {
      if (!this.paused && document.visibilityState !== 'hidden') void this.read();
    };
    read();
    const timer = setInterval(read, POLL_MS);
    document.addEventListener('visibilitychange', read);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', read);
    };
  }

  /** Asks for what was written since. */
  async read(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const after = this.#after;
      const page = await this.backend.ask({ type: 'logs', after, level: 'info' });
      const before = this.#anew ? [] : (this.entries ?? []);
      this.entries = extend(before, page, after);
      this.#anew = false;
      // Numbers that fell back belong to a new log, which is read from its beginning.
      this.#after = page.last < after ? 0 : page.last;
      this.failure = null;
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.failure = error;
    } finally {
      this.#asking = false;
    }
  }

  /** The service went away: what it writes next is another log, which takes this one's place. */
  lost(): void {
    this.#after = 0;
    this.#anew = true;
  }
}
