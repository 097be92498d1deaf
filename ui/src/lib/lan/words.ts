// What the local networks are called, and what is done on each, in words.

import type { Lan, LanInterface } from '../api/protocol';
import { t } from '../i18n/index.svelte';

/** A network that can be named to the service. */
export type Network = LanInterface & { network: string };

/** What people call the network, or else the interface it is plugged into. */
export function networkName({ label, name }: LanInterface): string {
  return label ?? name;
}

export function isNetwork(one: LanInterface): one is Network {
  return one.network !== null;
}

/** The network about which nobody was asked yet, if there is one. */
export function askedNetwork(lan: Lan): Network | undefined {
  return lan.interfaces.filter(isNetwork).find(({ state }) => state === 'unknown');
}

/** What is done on an interface, and why nothing is. */
export function stateWords({ state, links, network }: LanInterface): string {
  if (state === 'active') return t('lan.state.active', { links });
  if (state === 'unknown' && network === null) return t('lan.state.unseen');
  return t(`lan.state.${state}`);
}
