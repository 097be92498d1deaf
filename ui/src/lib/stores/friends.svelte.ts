// Friends and blocked keys, asked for anew whenever the service says that they changed.

import type { Backend, Failure, ReplyTo } from '../api/backend';
import { isFailure } from '../api/backend';
import type { BlockedKey, Friend, FriendChange } from '../api/protocol';
import type { Service } from './service.svelte';

export class Friends {
  list = $state.raw<Friend[] | null>(null);
  blocked = $state.raw<BlockedKey[]>([]);
  /** What is open to everyone. */
  everyone = $state.raw<string[]>([]);
  failure = $state.raw<Failure | null>(null);
  #revision = -1;
  #loading = Promise.resolve();

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  start(): () => void {
    const unwant = this.service.want('friends');
    const stop = this.backend.on('friends', () => void this.load());
    const unfollow = $effect.root(() => {
      $effect(() => {
        const { ready, status } = this.service;
        if (ready && status?.friends_revision !== this.#revision) void this.load();
      });
    });
    return () => {
      unwant();
      stop();
      unfollow();
    };
  }

  find(key: string): Friend | undefined {
    return this.list?.find((friend) => friend.key === key);
  }

  /** Asks anew; what is asked while an answer is on its way is asked once more after it. */
  load(): Promise<void> {
    this.#revision = this.service.status?.friends_revision ?? -1;
    this.#loading = this.#loading.then(() => this.#ask());
    return this.#loading;
  }

  async #ask(): Promise<void> {
    try {
      const friends: Friend[] = [];
      let everyone: string[] = [];
      for (let after: string | null = null, more = true; more;) {
        const part: ReplyTo<{ type: 'friend_list' }> = await this.backend.ask({
          type: 'friend_list',
          after,
        });
        friends.push(...part.friends);
        ({ everyone, next: after } = part);
        more = after !== null;
      }
      const blocked: BlockedKey[] = [];
      for (let after: string | null = null, more = true; more;) {
        const part: ReplyTo<{ type: 'friend_blocked' }> = await this.backend.ask({
          type: 'friend_blocked',
          after,
        });
        blocked.push(...part.blocked);
        after = part.next;
        more = after !== null;
      }
      this.list = friends.sort((a, b) => a.name.localeCompare(b.name));
      this.everyone = everyone;
      this.blocked = blocked;
      this.failure = null;
    } catch (error) {
      if (isFailure(error)) this.failure = error;
      else throw error;
    }
  }

  async add(wish: {
    who: string;
    name: string | null;
    echo?: boolean;
    services?: string[];
    notes?: string;
  }) {
    const { who, name, echo = true, services = [], notes = '' } = wish;
    const friend = await this.backend.ask({ type: 'friend_add', who, name, echo, services, notes });
    await this.load();
    return friend;
  }

  async change(key: string, change: Partial<FriendChange>) {
    const friend = await this.backend.ask({ type: 'friend_change', key, change });
    await this.load();
    return friend;
  }

  async remove(key: string) {
    const friend = await this.backend.ask({ type: 'friend_remove', key });
    await this.load();
    return friend;
  }

  /** Takes a friend who was removed back, with all it may reach. Fails when it cannot be. */
  async restore({ key, name, echo, services, verified, notes, blocked }: Friend) {
    const why = this.blocked.find((one) => one.key === key)?.notes;
    // A blocked key is taken back without rights first, so that it has none for a moment either.
    const may = { echo: echo && !blocked, services: blocked ? [] : services };
    const book = { version: 1, friends: [{ key, name, verified, notes, ...may }] };
    if (blocked) await this.backend.ask({ type: 'friend_unblock', key });
    const { refused } = await this.backend.ask({ type: 'friend_import', book, overwrite: true });
    if (blocked) {
      await this.backend.ask({ type: 'friend_block', key, name, notes: why ?? '' });
      const change = { allow: services, echo };
      if (refused.length === 0) await this.backend.ask({ type: 'friend_change', key, change });
    }
    await this.load();
    if (refused[0]) throw new Error(refused[0].reason);
  }

  async block(key: string, name: string | null = null) {
    await this.backend.ask({ type: 'friend_block', key, name });
    await this.load();
  }

  async unblock(key: string) {
    await this.backend.ask({ type: 'friend_unblock', key });
    await this.load();
  }

  async open(change: { allow?: string[]; deny?: string[] }) {
    const { everyone } = await this.backend.ask({ type: 'open_change', ...change });
    this.everyone = everyone;
  }
}
