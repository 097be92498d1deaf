/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// Which nodes are shown. Up to a budget, all of them; above it the ones that matter (you, peers,
// ancestors, friends, sessions, whatever is selected) with the ways to them, then the nearest, and
// what is left out is a number at the node it hangs below: "+312". Asked to, such a node opens.

import { Flag, type Graph } from './model';
import type { Spanning } from './span';

/** Nodes that are shown unless somebody opens more. */
export const VISIBLE_MAX = 2_000;
/** Nodes that one opening adds. */
export const OPENED_MAX = 500;

export interface Visible {
  /** The nodes of the graph that are shown, in the order of the spanning tree. */
  readonly nodes: Uint32Array;
  /** Number of a node of the graph among those shown, -1 when it is hidden. */
  readonly at: Int32Array;
  /** Among those shown: the one it hangs below, -1 for the first. */
  readonly up: Int32Array;
  readonly depth: Uint16Array;
  /** Number of nodes hidden below each one shown. */
  readonly hidden: Uint32Array;
}

export interface Wishes {
  /** Most nodes to show; what matters and what was opened is shown besides. */
  budget: number;
  /** Keys of the nodes that were opened. */
  opened: ReadonlySet<string>;
  /** Keys of nodes that must be seen. */
  keep: readonly string[];
}

const MATTERS = Flag.self | Flag.peer | Flag.ancestor | Flag.session | Flag.friend | Flag.root;

/** Chooses the nodes of `graph` to show. */
export function choose(graph: Graph, tree: Spanning, wishes: Wishes): Visible {
  const { count } = graph;
  const shown = new Uint8Array(count);
  if (count <= wishes.budget) shown.fill(1);
  else {
    let room = wishes.budget;
    // What matters may itself be too much; then the nearest of it comes first.
    for (let o = 0; o < count && room > 0; o += 1) {
      const node = tree.order[o]!;
      if ((graph.flags[node]! & MATTERS) !== 0) room -= show(tree, shown, node);
    }
    for (let o = 0; o < count && room > 0; o += 1) room -= show(tree, shown, tree.order[o]!);
    for (const key of wishes.opened) open(tree, shown, graph.index.get(key));
    for (const key of wishes.keep) {
      const node = graph.index.get(key);
      if (node !== undefined) show(tree, shown, node);
    }
  }
  return collect(tree, shown);
}

/** Shows a node and those it hangs below; says how many that added. */
function show(tree: Spanning, shown: Uint8Array, node: number): number {
  let added = 0;
  for (let at = node; at >= 0 && !shown[at]; at = tree.up[at]!) {
    shown[at] = 1;
    added += 1;
  }
  return added;
}

/** Shows what is below a node, level by level. */
function open(tree: Spanning, shown: Uint8Array, node: number | undefined): void {
  if (node === undefined) return;
  let room = OPENED_MAX - show(tree, shown, node);
  const queue = [node];
  for (let q = 0; q < queue.length && room > 0; q += 1) {
    const at = queue[q]!;
    for (let b = tree.start[at]!; b < tree.start[at + 1]! && room > 0; b += 1) {
      const child = tree.below[b]!;
      if (!shown[child]) {
        shown[child] = 1;
        room -= 1;
      }
      queue.push(child);
    }
  }
}

function collect(tree: Spanning, shown: Uint8Array): Visible {
  const nodes = tree.order.filter((node) => shown[node] === 1);
  const at = new Int32Array(shown.length).fill(-1);
  nodes.forEach((node, n) => (at[node] = n));
  const up = new Int32Array(nodes.length);
  const depth = new Uint16Array(nodes.length);
  const hidden = new Uint32Array(nodes.length);
  nodes.forEach((node, n) => {
    up[n] = tree.up[node]! < 0 ? -1 : at[tree.up[node]!]!;
    depth[n] = tree.depth[node]!;
    for (let b = tree.start[node]!; b < tree.start[node + 1]!; b += 1) {
      const child = tree.below[b]!;
      if (!shown[child]) hidden[n]! += tree.size[child]!;
    }
  });
  return { nodes, at, up, depth, hidden };
}

/** Of those shown, the ones that hang below `n`: `list[start[n]..start[n + 1]]`. */
export interface Children {
  readonly start: Uint32Array;
  readonly list: Uint32Array;
}

/** Lists who hangs below whom, from `up`. */
export function childrenOf(up: Int32Array): Children {
  const count = up.length;
  const start = new Uint32Array(count + 1);
  for (let n = 0; n < count; n += 1) if (up[n]! >= 0) start[up[n]! + 1]! += 1;
  for (let n = 0; n < count; n += 1) start[n + 1]! += start[n]!;
  const list = new Uint32Array(start[count]!);
  const fill = start.slice();
  for (let n = 0; n < count; n += 1) if (up[n]! >= 0) list[fill[up[n]!]!++] = n;
  return { start, list };
}
