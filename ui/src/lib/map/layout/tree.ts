/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// The tree of the network from its root down, as tight as it gets without a line crossing another.
// Many leaves below one node stand in a block instead of an endless row.

import { childrenOf, type Visible } from '../visible';
import type { Positions } from './positions';

/** Distance between neighbours. */
const GAP = 26;
/** Distance between levels, at least. */
const LEVEL = 84;
/** A tree is at most this many times as wide as high; levels move apart until it is. */
const WIDE = 1.7;
/** Part of the room between two levels that the rows of a block may take. */
const FILL = 0.62;
/** More leaves than this below one node stand in a block. */
const ROW = 5;
/** Distance of rows and columns in a block. */
const CELL = 15;

/** Outline of a subtree, from its deepest level up to its top, measured from `shift`. */
interface Outline {
  left: number[];
  right: number[];
  shift: number;
}

/** Lays out `visible`; the branch on which `self` is hangs in the middle of its neighbours. */
export function tree(visible: Visible, self: number): Positions {
  const way = new Set<number>();
  for (let at = self; at >= 0; at = visible.up[at]!) way.add(at);
  // How many rows a block may have follows from the distance of levels, which follows from the
  // width, which follows from the blocks: the first round is a guess.
  const guess = arrange(visible, way, rowsFor(LEVEL), LEVEL);
  const { x, y } = arrange(visible, way, rowsFor(guess.level), guess.level);
  return { x, y, rings: [] };
}

function rowsFor(level: number): number {
  return Math.max(1, Math.floor((level * FILL) / CELL));
}

function arrange(
  visible: Visible,
  way: ReadonlySet<number>,
  rows: number,
  levelMin: number,
): { x: Float32Array; y: Float32Array; level: number } {
  const count = visible.nodes.length;
  const children = childrenOf(visible.up);
  const isLeaf = (n: number): boolean => children.start[n] === children.start[n + 1];
  const offset = new Float64Array(count);
  const row = new Uint16Array(count);
  const outlines: (Outline | undefined)[] = new Array<Outline | undefined>(count);

  for (let n = count - 1; n >= 0; n -= 1) {
    const below = [...children.list.subarray(children.start[n], children.start[n + 1])];
    const leaves = below.filter(isLeaf);
    outlines[n] = gather(unitsOf(below, leaves, isLeaf, way), rows, offset, row, outlines);
  }

  const x = new Float32Array(count);
  const y = new Float32Array(count);
  let [least, most, deepest] = [0, 0, 1];
  for (let n = 0; n < count; n += 1) {
    x[n] = offset[n]! + (n > 0 ? x[visible.up[n]!]! : 0);
    least = Math.min(least, x[n]!);
    most = Math.max(most, x[n]!);
    deepest = Math.max(deepest, visible.depth[n]!);
  }
  // In the second round blocks were made for this distance; it must not become smaller.
  const level = Math.max(levelMin, (most - least) / WIDE / deepest);
  for (let n = 0; n < count; n += 1) y[n] = visible.depth[n]! * level + row[n]! * CELL;
  return { x, y, level };
}

/** What stands side by side below a node: subtrees, and leaves, many of these as one block amid. */
function unitsOf(
  below: number[],
  leaves: number[],
  isLeaf: (n: number) => boolean,
  way: ReadonlySet<number>,
): (number | number[])[] {
  let units: (number | number[])[] = below;
  if (leaves.length > ROW) {
    // Whoever is on the way to you is no leaf among others, even with nobody below.
    const others = leaves.filter((leaf) => !way.has(leaf));
    units = below.filter((child) => !isLeaf(child) || way.has(child));
    units.splice(Math.floor(units.length / 2), 0, others);
  }
  const mine = units.find((unit) => typeof unit === 'number' && way.has(unit));
  if (mine !== undefined) {
    units = units.filter((unit) => unit !== mine);
    units.splice(Math.ceil(units.length / 2), 0, mine);
  }
  return units;
}

/** Puts what hangs below one node side by side, centred; returns the outline of the whole. */
function gather(
  units: (number | number[])[],
  rows: number,
  offset: Float64Array,
  row: Uint16Array,
  outlines: (Outline | undefined)[],
): Outline {
  if (units.length === 0) return { left: [0], right: [0], shift: 0 };
  let whole: Outline | undefined;
  const middles: number[] = [];
  for (const unit of units) {
    const outline = typeof unit === 'number' ? outlines[unit]! : block(unit, rows, offset, row);
    let middle = 0;
    if (whole) {
      middle = distance(whole, outline);
      outline.shift += middle;
      whole = merge(whole, outline);
    } else whole = outline;
    middles.push(middle);
    if (typeof unit === 'number') outlines[unit] = undefined;
  }
  const centre = (middles[0]! + middles.at(-1)!) / 2;
  units.forEach((unit, u) => {
    const by = middles[u]! - centre;
    if (typeof unit === 'number') offset[unit] = by;
    else for (const leaf of unit) offset[leaf]! += by;
  });
  whole!.shift -= centre;
  whole!.left.push(-whole!.shift);
  whole!.right.push(-whole!.shift);
  return whole!;
}

/** Places leaves in rows around 0. */
function block(
  leaves: readonly number[],
  rows: number,
  offset: Float64Array,
  row: Uint16Array,
): Outline {
  const columns = Math.ceil(leaves.length / rows);
  const half = ((columns - 1) * CELL) / 2;
  leaves.forEach((leaf, i) => {
    offset[leaf] = (i % columns) * CELL - half;
    row[leaf] = Math.floor(i / columns);
  });
  return { left: [-half], right: [half], shift: 0 };
}

/** How far `next` must move to the right to stand clear of `whole`. */
function distance(whole: Outline, next: Outline): number {
  let far = -Infinity;
  const [tops, topn] = [whole.right.length - 1, next.left.length - 1];
  for (let d = 0; d <= Math.min(tops, topn); d += 1) {
    const right = whole.right[tops - d]! + whole.shift;
    const left = next.left[topn - d]! + next.shift;
    far = Math.max(far, right - left + GAP);
  }
  return far;
}

/** Joins two outlines whose tops are level, into the deeper one. */
function merge(whole: Outline, next: Outline): Outline {
  const [w, n] = [whole.left.length, next.left.length];
  if (w >= n) {
    for (let d = 1; d <= n; d += 1) {
      whole.right[w - d] = next.right[n - d]! + next.shift - whole.shift;
    }
    return whole;
  }
  for (let d = 1; d <= w; d += 1) {
    next.left[n - d] = whole.left[w - d]! + whole.shift - next.shift;
  }
  return next;
}
