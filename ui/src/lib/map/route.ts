/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// The way from this node to another, hop by hop, as far as it is known: over the peer that leads
// there, then along the tree. Nodes on the way may know a shortcut of their own, so the real way is
// this long at most.

import { standInKey, type Graph } from './model';

/**
 * Numbers of the nodes from this node to `target`, both included; `null` where no way is known.
 * `first` is the peer that leads there, where somebody knows it better than the graph.
 */
export function routeTo(graph: Graph, target: number, first?: number): number[] | null {
  const { self } = graph;
  if (self < 0 || target < 0 || target >= graph.count) return null;
  if (target === self) return [self];
  const shortest = shortestWay(graph, self, target);
  const via = first ?? graph.via[target]!;
  if (via >= 0 && via !== target && isNear(graph, self, via)) {
    const rest = treeWay(graph, via, target) ?? shortestWay(graph, via, target);
    if (rest && !rest.includes(self)) return [self, ...rest];
  }
  return shortest;
}

/** A node on a way, as the service reports it. */
export interface HopInput {
  key: string | null;
  coordinates: readonly number[] | null;
}

/** The way that the service reports, as nodes of `graph`; `null` where one of them is not in it. */
export function routeFrom(graph: Graph, hops: readonly HopInput[]): number[] | null {
  if (hops.length < 2) return null;
  const route: number[] = [];
  for (const { key, coordinates } of hops) {
    const name = key ?? (coordinates ? standInKey(coordinates) : '');
    const node = graph.index.get(name);
    if (node === undefined || route.includes(node)) return null;
    route.push(node);
  }
  return route[0] === graph.self ? route : null;
}

function isNear(graph: Graph, a: number, b: number): boolean {
  return graph.near.subarray(graph.start[a], graph.start[a + 1]).includes(b);
}

/** Up from `from` to where the branches meet, and down to `to`. */
function treeWay(graph: Graph, from: number, to: number): number[] | null {
  const up = [from];
  const place = new Map([[from, 0]]);
  for (let at = graph.parent[from]!; at >= 0; at = graph.parent[at]!) {
    place.set(at, up.length);
    up.push(at);
  }
  const down: number[] = [];
  for (let at = to; at >= 0; at = graph.parent[at]!) {
    const meet = place.get(at);
    if (meet !== undefined) return [...up.slice(0, meet + 1), ...down.reverse()];
    down.push(at);
  }
  return null;
}

function shortestWay(graph: Graph, from: number, to: number): number[] | null {
  const before = new Int32Array(graph.count).fill(-1);
  const queue = [from];
  before[from] = from;
  for (let q = 0; q < queue.length && before[to] === -1; q += 1) {
    const node = queue[q]!;
    for (let n = graph.start[node]!; n < graph.start[node + 1]!; n += 1) {
      const next = graph.near[n]!;
      if (before[next] !== -1) continue;
      before[next] = node;
      queue.push(next);
    }
  }
  if (before[to] === -1) return null;
  const way = [to];
  while (way.at(-1) !== from) way.push(before[way.at(-1)!]!);
  return way.reverse();
}
