// One question "How far is …": the way there, and a few echo requests one after the other.

import { isFailure, type Failure } from '../api/backend';
import type { PathReport } from '../api/protocol';
import type { App } from '../stores/app.svelte';
import { distance, friendNamed, isSilent } from './distance';

export const REQUESTS = 5;
const WAIT_MS = 3000;

export class Measurement {
  /** What the target is called: a friend's name, or what was typed. */
  name = $state('');
  path = $state.raw<PathReport | null>(null);
  /** Round trips in milliseconds, `null` for each request that was not answered. */
  replies = $state.raw<(number | null)[]>([]);
  busy = $state(false);
  failure = $state.raw<Failure | null>(null);
  readonly result = $derived.by(() => {
    const { status } = this.app.service;
    if (!status || this.busy || this.failure || this.name === '') return null;
    return distance(this.path, this.replies, status);
  });
  #run = 0;

  constructor(readonly app: App) {}

  /** Asks how far `text` is: a friend's name, an address or a key. */
  async start(text: string): Promise<void> {
    const run = ++this.#run;
    const stale = () => run !== this.#run;
    const { backend } = this.app;
    this.name = text.trim();
    this.path = null;
    this.replies = [];
    this.failure = null;
    this.busy = true;
    try {
      const target = await this.#resolve(text);
      if (stale()) return;
      const path = await backend.ask({ type: 'path', target }).catch(unlessSilent);
      if (stale()) return;
      this.path = path;
      for (let at = 0; at < REQUESTS; at += 1) {
        const wish = { type: 'ping', target, count: 1, timeout_ms: WAIT_MS } as const;
        const report = await backend.ask(wish).catch(unlessSilent);
        if (stale()) return;
        this.replies = [...this.replies, report?.replies[0]?.rtt_ms ?? null];
        // Who cannot be found at all is not asked for four times more.
        if (report === null) break;
        // The search for the way is over with the first answer.
        if (at === 0) this.path = await backend.ask({ type: 'path', target }).catch(unlessSilent);
        if (stale()) return;
      }
    } catch (error) {
      if (!isFailure(error)) throw error;
      if (!stale()) this.failure = error;
    } finally {
      if (!stale()) this.busy = false;
    }
  }

  /** Ends the measurement; what came so far is forgotten. */
  stop(): void {
    this.#run += 1;
    this.busy = false;
  }

  async #resolve(text: string): Promise<string> {
    const friend = friendNamed(text, this.app.friends.list ?? []);
    if (friend) {
      this.name = friend.name;
      return friend.key;
    }
    const preview = await this.app.backend.readLink(text);
    if (preview.kind === 'join') {
      this.name = preview.inviter.known?.name ?? this.name;
      return preview.inviter.key;
    }
    if (preview.known) this.name = preview.known.name;
    return preview.key ?? preview.address;
  }
}

function unlessSilent(error: unknown): null {
  if (isFailure(error) && isSilent(error)) return null;
  throw error;
}
