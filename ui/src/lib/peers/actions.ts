// What changes the node's own peers: each says what it did, with the way back.

import type { PeerStatus } from '../api/protocol';
import { t } from '../i18n/index.svelte';
import type { App } from '../stores/app.svelte';
import type { PeerName } from '../stores/peers.svelte';
import { nameOf } from '../stores/lately';

/** Carries something out and says why when it was not done. Answers whether it was. */
async function attempt(app: App, act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    app.toasts.fail(error);
    return false;
  }
}

/** Adds public peers one after the other; answers with those that are peers now. */
export async function addPeers(app: App, uris: readonly string[]): Promise<string[]> {
  const added: PeerName[] = [];
  for (const uri of uris) {
    const name = { uri, interface: null };
    if (!(await attempt(app, () => app.peers.add(name)))) break;
    added.push(name);
  }
  if (added.length > 0) sayAdded(app, added);
  return added.map(({ uri }) => uri);
}

/** Says that peers were added, and takes them away again when that is wished. */
export function sayAdded(app: App, added: readonly PeerName[]): void {
  const undo = () => void removePeers(app, added);
  app.toasts.say(t('peers.added', { peers: added.length }), { label: t('common.undo'), run: undo });
}

/** Removes peers that were just added. */
export async function removePeers(app: App, peers: readonly PeerName[]): Promise<boolean> {
  for (const peer of peers) {
    if (!(await attempt(app, () => app.peers.remove(peer)))) return false;
  }
  return true;
}

export async function removePeer(app: App, peer: PeerStatus): Promise<boolean> {
  const name: PeerName = { uri: peer.uri, interface: peer.interface };
  if (!(await attempt(app, () => app.peers.remove(name)))) return false;
  const undo = () => void attempt(app, () => app.peers.add(name));
  const said = t('peers.removed', { peer: nameOf(peer) });
  app.toasts.say(said, { label: t('common.undo'), run: undo });
  return true;
}

export async function pausePeer(app: App, peer: PeerStatus, paused: boolean): Promise<void> {
  const name: PeerName = { uri: peer.uri, interface: peer.interface };
  if (!(await attempt(app, () => app.peers.pause(name, paused)))) return;
  const undo = () => void attempt(app, () => app.peers.pause(name, !paused));
  const said = t(paused ? 'peers.paused' : 'peers.resumed', { peer: nameOf(peer) });
  app.toasts.say(said, { label: t('common.undo'), run: undo });
}
