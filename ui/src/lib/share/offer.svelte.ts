// The link as the service made it last, and what it is to hold.

import { isFailure, type Backend, type Failure } from '$lib/api/backend';
import type { Shared } from '$lib/api/protocol';

/** Where the page remembers under which name this computer was shared. */
const REMEMBERED = 'share.name';

export class Offer {
  shared = $state.raw<Shared | null>(null);
  failure = $state.raw<Failure | null>(null);
  name = $state(localStorage.getItem(REMEMBERED) ?? '');
  /** What the service proposed when it was asked without a choice. */
  proposed = $state.raw<readonly string[]>([]);
  /** The person's own choice, or `null` while there is none. */
  #peers: string[] | null = null;
  #asked = 0;

  constructor(readonly backend: Backend) {}

  choose(peers: string[]): Promise<void> {
    this.#peers = peers;
    return this.make();
  }

  /** Has the link made as it is to be now. What was asked before counts no longer. */
  async make(): Promise<void> {
    const asked = (this.#asked += 1);
    const name = this.name.trim() || null;
    const peers = this.#peers;
    try {
      const shared = await this.backend.ask({ type: 'share', name, peers });
      if (asked !== this.#asked) return;
      if (peers === null) this.proposed = shared.peers;
      this.shared = shared;
      this.failure = null;
      localStorage.setItem(REMEMBERED, name ?? '');
    } catch (error) {
      if (!isFailure(error)) throw error;
      if (asked === this.#asked) this.failure = error;
    }
  }
}
