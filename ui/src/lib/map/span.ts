/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// The tree along which a graph is laid out: from one node outwards, everybody below the neighbour
// through whom the way to them is shortest. It holds every node of the graph, also those to which
// no way is known; these hang below the peer that leads there, or below the first node.

import type { Graph } from './model';

export interface Spanning {
  readonly root: number;
  /** Nodes from the root outwards; a node comes after the one it hangs below. */
  readonly order: Uint32Array;
  /** Node it hangs below, -1 for the root. */
  readonly up: Int32Array;
  /** Steps from the root. */
  readonly depth: Uint16Array;
  /** Nodes at and below it. */
  readonly size: Uint32Array;
  /** Whether it hangs there only because no way to it is known. */
  readonly loose: Uint8Array;
  /** Those that hang below `i`: `below[start[i]..start[i + 1]]`. */
  readonly start: Uint32Array;
  readonly below: Uint32Array;
}

/** Spans `graph` from `root` by shortest ways. */
export function span(graph: Graph, root: number): Spanning {
  const { count, start, near } = graph;
  const up = new Int32Array(count).fill(-1);
  const depth = new Uint16Array(count);
  const loose = new Uint8Array(count);
  const order = new Uint32Array(count);
  const reached = new Uint8Array(count);
  let filled = 0;
  let done = 0;

  const reach = (node: number, above: number): void => {
    reached[node] = 1;
    up[node] = above;
    depth[node] = above < 0 ? 0 : Math.min(depth[above]! + 1, 65_535);
    order[filled++] = node;
  };
  const spread = (): void => {
    while (done < filled) {
      const node = order[done++]!;
      for (let n = start[node]!; n < start[node + 1]!; n += 1) {
        if (!reached[near[n]!]) reach(near[n]!, node);
      }
    }
  };

  if (count > 0) {
    reach(root, -1);
    spread();
    for (let node = 0; filled < count && node < count; node += 1) {
      if (reached[node]) continue;
      // The topmost of those that belong together hangs below the peer through whom it is reached.
      let top = node;
      while (graph.parent[top]! >= 0 && !reached[graph.parent[top]!]) top = graph.parent[top]!;
      const via = graph.via[node]!;
      reach(top, via >= 0 && reached[via] ? via : root);
      loose[top] = 1;
      spread();
    }
  }

  const size = new Uint32Array(count).fill(1);
  const first = new Uint32Array(count + 1);
  for (let o = count - 1; o > 0; o -= 1) {
    const node = order[o]!;
    size[up[node]!]! += size[node]!;
    first[up[node]! + 1]! += 1;
  }
  for (let i = 0; i < count; i += 1) first[i + 1]! += first[i]!;
  const below = new Uint32Array(Math.max(0, count - 1));
  const fill = first.slice();
  for (let o = 1; o < count; o += 1) below[fill[up[order[o]!]!]!++] = order[o]!;
  return { root, order, up, depth, size, loose, start: first, below };
}
