// Circles, and the members of those that are on display. Asked for anew whenever the service says
// that they changed.

import type { Backend, Failure, ReplyTo } from '../api/backend';
import { isFailure } from '../api/backend';
import type {
  Circle,
  CircleAccessChange,
  CircleChange,
  CircleDetails,
  CircleDraft,
  Invite,
  MemberRole,
} from '../api/protocol';
import type { Service } from './service.svelte';

export class Circles {
  list = $state.raw<Circle[] | null>(null);
  /** Invites to any of them that this computer made, the latest first. */
  invites = $state.raw<Invite[]>([]);
  /** Those whose members are known, by id. */
  details = $state.raw<ReadonlyMap<string, CircleDetails>>(new Map());
  failure = $state.raw<Failure | null>(null);
  #revision = -1;
  /** The question that is on its way, and the one that waits for its answer. */
  #loading = Promise.resolve();
  #next: Promise<void> | null = null;
  /** How many want the members of a circle. */
  readonly #wanted = new Map<string, number>();

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  start(): () => void {
    const unwant = this.service.want('circles');
    const stop = this.backend.on('circles', () => void this.load());
    const unfollow = $effect.root(() => {
      $effect(() => {
        const { ready, status } = this.service;
        if (ready && status?.circles_revision !== this.#revision) void this.load();
      });
    });
    return () => {
      unwant();
      stop();
      unfollow();
    };
  }

  find(id: string): Circle | undefined {
    return this.list?.find((circle) => circle.id === id);
  }

  /** Keeps the members of a circle known until the returned function is called. */
  want(id: string): () => void {
    this.#wanted.set(id, (this.#wanted.get(id) ?? 0) + 1);
    void this.load();
    return () => {
      const left = (this.#wanted.get(id) ?? 1) - 1;
      if (left > 0) this.#wanted.set(id, left);
      else this.#wanted.delete(id);
    };
  }

  /** Asks anew; what is asked while an answer is on its way is asked once more after it. */
  load(): Promise<void> {
    this.#revision = this.service.status?.circles_revision ?? -1;
    const ask = () => {
      this.#next = null;
      this.#loading = this.#ask();
      return this.#loading;
    };
    this.#next ??= this.#loading.then(ask, ask);
    return this.#next;
  }

  async #ask(): Promise<void> {
    try {
      const { circles } = await this.backend.ask({ type: 'circle_list' });
      const { invites } = await this.backend.ask({ type: 'invite_list' });
      const there = new Set(circles.map(({ id }) => id));
      const details = new Map<string, CircleDetails>();
      for (const id of this.#wanted.keys()) {
        if (there.has(id)) details.set(id, await this.#show(id));
      }
      this.list = circles;
      this.invites = invites;
      this.details = details;
      this.failure = null;
    } catch (error) {
      if (!isFailure(error)) throw error;
      // One that went away meanwhile is missing from the next list.
      if (error.code !== 'circle_not_found') this.failure = error;
    }
  }

  #show(id: string): Promise<CircleDetails> {
    return this.backend.ask({ type: 'circle_show', circle: id });
  }

  /** Does something to a circle; answers with how it is afterwards. */
  async #do(asked: Promise<ReplyTo<{ type: 'circle_show'; circle: string }>>) {
    const { circle } = await asked;
    await this.load();
    return circle;
  }

  create(name: string): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_create', name }));
  }

  /** Begins a circle under the key on paper that `words` stand for. */
  createUnder(name: string, recovery: string, words: string): Promise<Circle> {
    return this.#sign({ kind: 'create', name, recovery }, words);
  }

  /** Makes a key an admin, or removes it, with the key on paper that `words` stand for. */
  async recover(
    kind: 'add' | 'remove',
    circle: string,
    key: string,
    words: string,
  ): Promise<Circle> {
    const { key: recovery } = await this.backend.recoveryKey(words);
    return this.#sign({ kind, circle, recovery, key }, words);
  }

  async #sign(draft: CircleDraft, words: string): Promise<Circle> {
    const { operation } = await this.backend.ask({ type: 'circle_draft', draft });
    const signed = await this.backend.recoverySign({ words, operation });
    return this.#do(this.backend.ask({ type: 'circle_submit', operation: signed.operation }));
  }

  change(circle: string, change: CircleChange): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_change', circle, change }));
  }

  /** Adds somebody, or changes what a member may do. */
  add(circle: string, key: string, role: MemberRole): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_add', circle, key, role }));
  }

  remove(circle: string, key: string): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_remove', circle, key }));
  }

  accept(circle: string): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_accept', circle }));
  }

  leave(circle: string): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_leave', circle }));
  }

  forget(circle: string): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_forget', circle }));
  }

  access(circle: string, change: CircleAccessChange): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_access', circle, change }));
  }

  /** Changes what one member may reach here, besides its circles. */
  memberAccess(circle: string, key: string, change: { allow?: string[]; deny?: string[] }) {
    return this.#do(this.backend.ask({ type: 'member_access', circle, key, ...change }));
  }

  join(link: string, label: string | null): Promise<Circle> {
    return this.#do(this.backend.ask({ type: 'circle_join', link, label }));
  }

  async invite(wish: {
    circle: string;
    role: MemberRole;
    uses: number;
    valid_s: number;
    asks: boolean;
    peers?: string[];
  }): Promise<Invite> {
    const invite = await this.backend.ask({ type: 'invite_create', ...wish });
    await this.load();
    return invite;
  }

  async revoke(invite: number): Promise<Invite> {
    const revoked = await this.backend.ask({ type: 'invite_revoke', invite });
    await this.load();
    return revoked;
  }
}
