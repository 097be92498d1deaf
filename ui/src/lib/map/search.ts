// Finds nodes by name, by the beginning of an address or of a key.

import type { Graph } from './model';

export const FOUND_MAX = 8;

/** An address without what may be written in several ways. */
function plain(address: string): string {
  return address
    .toLowerCase()
    .split(':')
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}

/** How well a node fits, the lower the better; `null` when it does not. */
function fits(query: string, name: string, address: string, key: string): number | null {
  const lower = name.toLowerCase();
  if (lower !== '') {
    if (lower === query) return 0;
    if (lower.startsWith(query)) return 1;
    if (lower.split(/\s+/).some((word) => word.startsWith(query))) return 2;
  }
  if (plain(address).startsWith(plain(query))) return 3;
  if (query.length >= 3 && key.startsWith(query)) return 4;
  if (lower.includes(query)) return 5;
  return null;
}

/** Nodes of `graph` that fit, the best first, no more than FOUND_MAX. */
export function find(graph: Graph, text: string): number[] {
  const query = text.trim().toLowerCase().replace(/[[\]]/g, '');
  if (query === '') return [];
  const found: { node: number; rank: number }[] = [];
  for (let node = 0; node < graph.count; node += 1) {
    const input = graph.nodes[node];
    if (!input) continue;
    const rank = fits(query, input.name ?? '', input.address, input.key);
    if (rank !== null) found.push({ node, rank });
  }
  found.sort((a, b) => a.rank - b.rank || a.node - b.node);
  return found.slice(0, FOUND_MAX).map(({ node }) => node);
}
