// The public list as lines on the screen: those that match, in groups by country, the nearest first
// where a test has measured them.

import type { PeerTest, PublicPeer } from '../api/protocol';

export interface Filter {
  search: string;
  region: string | null;
  /** Any when empty. */
  transports: readonly string[];
}

export const ALL: Filter = { search: '', region: null, transports: [] };

export type Line =
  { kind: 'country'; country: string; peers: PublicPeer[] } | { kind: 'peer'; peer: PublicPeer };

export function lineKey(line: Line): string {
  return line.kind === 'country' ? line.country : line.peer.uri;
}

/** The values of one property, the most frequent first. */
export function kindsOf(peers: readonly PublicPeer[], of: 'region' | 'transport'): string[] {
  const counts = new Map<string, number>();
  for (const peer of peers) counts.set(peer[of], (counts.get(peer[of]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([kind]) => kind);
}

export function matching(
  peers: readonly PublicPeer[],
  { search, region, transports }: Filter,
  countryName: (slug: string) => string,
): PublicPeer[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return peers.filter((peer) => {
    if (region !== null && peer.region !== region) return false;
    if (transports.length > 0 && !transports.includes(peer.transport)) return false;
    if (words.length === 0) return true;
    const { uri, country } = peer;
    const text = `${uri} ${country} ${peer.region} ${countryName(country)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

type Tests = ReadonlyMap<string, PeerTest>;

/** Where a peer belongs: measured, then not tested, then without an answer. */
function distance(peer: PublicPeer, tests: Tests): number {
  const test = tests.get(peer.uri);
  if (!test) return Number.MAX_SAFE_INTEGER;
  return test.round_trip_ms ?? Infinity;
}

/** Countries by their nearest peer, then by name; within a country peers by how near they are. */
export function lines(
  peers: readonly PublicPeer[],
  tests: Tests,
  countryName: (slug: string) => string,
): Line[] {
  const groups = new Map<string, PublicPeer[]>();
  for (const peer of peers) {
    const group = groups.get(peer.country);
    if (group) group.push(peer);
    else groups.set(peer.country, [peer]);
  }
  const by = (a: number, b: number) => (a === b ? 0 : a - b);
  return [...groups]
    .map(([country, group]) => {
      // Sorting is stable: what has not been measured stays in the order of the list.
      const near = [...group].sort((a, b) => by(distance(a, tests), distance(b, tests)));
      const [nearest] = near;
      return { country, near, best: nearest ? distance(nearest, tests) : Infinity };
    })
    .sort(
      (a, b) => by(a.best, b.best) || countryName(a.country).localeCompare(countryName(b.country)),
    )
    .flatMap(({ country, near }): Line[] => [
      { kind: 'country', country, peers: near },
      ...near.map((peer): Line => ({ kind: 'peer', peer })),
    ]);
}
