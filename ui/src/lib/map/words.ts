// What the map says of a node.

import { latency } from '$lib/format';
import { t } from '$lib/i18n/index.svelte';
import { Flag, type Graph } from './model';

/** The two ends of an address: enough to recognise it, the whole is a click away. */
export function shortAddress(address: string): string {
  const groups = address.split(':');
  if (groups.length < 4) return address;
  return `${groups[0] ?? ''}:${groups[1] ?? ''}…${groups.at(-1) ?? ''}`;
}

/** Text that came from elsewhere, cut to what has room on the map. */
function brief(name: string): string {
  const letters = Array.from(name);
  return letters.length <= 28 ? name : `${letters.slice(0, 27).join('')}…`;
}

/** What stands beside a node on the map; `null` for one of whom nothing is known. */
export function labelOf(graph: Graph, node: number): { text: string; isName: boolean } | null {
  if ((graph.flags[node] ?? 0) & Flag.self) return { text: t('map.you'), isName: true };
  const input = graph.nodes[node];
  if (!input) return null;
  if (input.name) return { text: brief(input.name), isName: true };
  return { text: shortAddress(input.address), isName: false };
}

/** What a node is called in a sentence or a heading. */
export function nameOf(graph: Graph, node: number): string {
  if ((graph.flags[node] ?? 0) & Flag.self) return t('map.you');
  const input = graph.nodes[node];
  if (!input) return t('map.stand_in');
  return input.name ?? shortAddress(input.address);
}

const ROLES = ['self', 'friend', 'peer', 'session', 'root', 'ancestor', 'explored'] as const;

/** What a node is, the most telling first. */
export function rolesOf(graph: Graph, node: number): string[] {
  const flags = graph.flags[node] ?? 0;
  const roles = ROLES.filter((role) => flags & Flag[role]);
  // Whoever is the root is between everybody and the root.
  const telling = roles.filter((role) => role !== 'ancestor' || !(flags & Flag.root));
  if (telling.length > 0) return telling.map((role) => t(`map.role.${role}`));
  if (flags & Flag.path) return [t('map.role.path')];
  return flags & Flag.standIn ? [] : [t('map.role.known')];
}

/** A node in one sentence, to be read aloud. */
export function sentence(graph: Graph, node: number, hops: number | null): string {
  const roles = rolesOf(graph, node).join(', ') || t('map.stand_in.text');
  const distance = hops === null ? t('map.way.none') : t('map.hops', { count: hops });
  const said = t('map.said', { name: nameOf(graph, node), roles, distance });
  const ms = graph.latency[node] ?? Number.NaN;
  return Number.isNaN(ms) ? said : `${said}, ${latency(ms)}`;
}
