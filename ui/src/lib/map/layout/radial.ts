/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// The sky around you: the first node in the middle, every step away one ring further out. Each node
// gets a sector as wide as what hangs below it, within the sector of the node it hangs below, so
// lines never cross.

import { childrenOf, type Visible } from '../visible';
import { scatter, type Positions } from './positions';

/** Smallest distance between two rings. */
const STEP = 92;
/** Room on a ring for a node; on a crowded ring nodes stand on several tracks. */
const ROOM = 13;
const TRACKS = 4;
/** A ring with more nodes than this is crowded. */
const CROWD = 60;
/** How far, in steps, a node of a crowded ring may stand from its ring. */
const SPREAD = 0.36;

/** Lays out `visible`; `keys` are those of the nodes shown. */
export function radial(visible: Visible, keys: readonly string[]): Positions {
  const count = visible.nodes.length;
  const { up, depth } = visible;
  const children = childrenOf(up);
  const weight = new Float64Array(count);
  const onRing: number[] = [];
  // The order is that of the spanning tree, so backwards means from the leaves inwards.
  for (let n = count - 1; n >= 0; n -= 1) {
    weight[n] = Math.max(1, weight[n]!);
    if (up[n]! >= 0) weight[up[n]!]! += weight[n]!;
    onRing[depth[n]!] = (onRing[depth[n]!] ?? 0) + 1;
  }

  const rings: number[] = [0];
  for (let d = 1; d < onRing.length; d += 1) {
    const inRow = onRing[d]! > CROWD ? onRing[d]! / TRACKS : onRing[d]!;
    rings[d] = Math.max(rings[d - 1]! + STEP, (inRow * ROOM) / (2 * Math.PI));
  }

  const from = new Float64Array(count);
  const to = new Float64Array(count);
  const x = new Float32Array(count);
  const y = new Float32Array(count);
  if (count > 0) {
    // Half a turn around from the top, so that a single peer stands above you.
    from[0] = -Math.PI * 1.5;
    to[0] = Math.PI * 0.5;
  }
  for (let n = 0; n < count; n += 1) {
    if (n > 0) {
      const angle = (from[n]! + to[n]!) / 2;
      const d = depth[n]!;
      const crowded = onRing[d]! > CROWD && children.start[n] === children.start[n + 1];
      const step = rings[d]! - rings[d - 1]!;
      const away = crowded ? (scatter(keys[n]!) * 2 - 1) * SPREAD * step : 0;
      x[n] = Math.cos(angle) * (rings[d]! + away);
      y[n] = Math.sin(angle) * (rings[d]! + away);
    }
    divide(n, children.list.subarray(children.start[n], children.start[n + 1]), weight, from, to);
  }
  return { x, y, rings: rings.slice(1) };
}

/** Shares the sector of `n` among those below it. */
function divide(
  n: number,
  below: Uint32Array,
  weight: Float64Array,
  from: Float64Array,
  to: Float64Array,
): void {
  if (below.length === 0) return;
  // The root of a big subtree does not take it all: its neighbours stay apart from each other.
  let sum = 0;
  for (const child of below) sum += share(weight[child]!);
  let at = from[n]!;
  const width = to[n]! - from[n]!;
  for (const child of below) {
    from[child] = at;
    at += (width * share(weight[child]!)) / sum;
    to[child] = at;
  }
}

/** The sector grows a little slower than what hangs below. */
function share(weight: number): number {
  return Math.pow(weight, 0.85);
}
