// What is done to friends, each with its word afterwards and a way back.

import { isFailure } from '$lib/api/backend';
import type { Friend } from '$lib/api/protocol';
import { t } from '$lib/i18n/index.svelte';
import type { App } from '$lib/stores/app.svelte';
import { reachWords, serviceWords } from './services';

/** Does something and says what went wrong; answers whether it was done. */
export async function attempt(app: App, what: () => Promise<unknown>): Promise<boolean> {
  try {
    await what();
    return true;
  } catch (error) {
    app.toasts.fail(error);
    return false;
  }
}

function say(app: App, text: string, undo: () => Promise<unknown>): void {
  app.toasts.say(text, { label: t('common.undo'), run: () => void attempt(app, undo) });
}

export async function removeFriend(app: App, friend: Friend): Promise<boolean> {
  const done = await attempt(app, () => app.friends.remove(friend.key));
  if (done)
    say(app, t('friends.removed', { name: friend.name }), () => app.friends.restore(friend));
  return done;
}

export async function blockFriend(app: App, { key, name }: Friend): Promise<boolean> {
  const done = await attempt(app, () => app.friends.block(key, name));
  if (done) say(app, t('friends.blocked', { name }), () => app.friends.unblock(key));
  return done;
}

export async function unblockKey(
  app: App,
  { key, name }: { key: string; name: string | null },
): Promise<boolean> {
  const done = await attempt(app, () => app.friends.unblock(key));
  const who = name ?? t('friends.somebody');
  if (done) say(app, t('friends.unblocked', { name: who }), () => app.friends.block(key, name));
  return done;
}

/** Opens services to everybody on the network, or closes them again. */
export async function openToEveryone(app: App, services: string[]): Promise<boolean> {
  const before = app.friends.everyone;
  const done = await attempt(app, () => app.friends.open({ allow: services }));
  if (done) {
    const words = [...new Set(services.map(serviceWords))].join(', ');
    say(app, t('friends.everyone.opened', { service: words }), () =>
      app.friends.open({ deny: services, allow: before }),
    );
  }
  return done;
}

export async function closeToEveryone(app: App, service: string): Promise<boolean> {
  const done = await attempt(app, () => app.friends.open({ deny: [service] }));
  if (done) {
    say(app, t('friends.everyone.closed', { service: serviceWords(service) }), () =>
      app.friends.open({ allow: [service] }),
    );
  }
  return done;
}

export async function renameFriend(app: App, friend: Friend, name: string): Promise<boolean> {
  const { key, name: before } = friend;
  const done = await attempt(app, () => app.friends.change(key, { name }));
  if (done) {
    say(app, t('friends.renamed', { before, name }), () =>
      app.friends.change(key, { name: before }),
    );
  }
  return done;
}

/** Changes what a friend may reach. */
export async function changeReach(
  app: App,
  friend: Friend,
  change: { allow?: string[]; deny?: string[]; echo?: boolean },
): Promise<boolean> {
  const { key, name, services, echo } = friend;
  return attempt(app, async () => {
    const now = await app.friends.change(key, change);
    const back = { deny: now.services, allow: services, echo };
    say(app, t('friends.reach.changed', { name, reach: reachWords(now.services, now.echo) }), () =>
      app.friends.change(key, back),
    );
  });
}

/** Adds peers that were ticked in a link; answers with those that were not there already. */
export async function addPeers(app: App, peers: readonly string[]): Promise<string[]> {
  const added: string[] = [];
  for (const uri of peers) {
    try {
      await app.backend.ask({ type: 'peer_add', uri });
      added.push(uri);
    } catch (error) {
      // One that is there already is all that was wanted.
      if (!isFailure(error) || error.code !== 'peer_exists') app.toasts.fail(error);
    }
  }
  return added;
}

/** Adds a friend, and peers that were ticked; answers with the key that became the friend. */
export async function addFriend(
  app: App,
  wish: Parameters<App['friends']['add']>[0],
  peers: readonly string[],
): Promise<string | null> {
  let friend: Friend;
  try {
    friend = await app.friends.add(wish);
  } catch (error) {
    app.toasts.fail(error);
    return null;
  }
  const added = await addPeers(app, peers);
  say(app, t('friends.added', { name: friend.name }), async () => {
    await app.friends.remove(friend.key);
    for (const uri of added) await app.backend.ask({ type: 'peer_remove', uri });
  });
  return friend.key;
}
