/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// Finds the node under the pointer: a quadtree over points that stand still, in flat arrays. Points
// on one spot end in one leaf, so that it is never deeper than DEPTH_MAX.

const LEAF = 12;
const DEPTH_MAX = 24;

interface Cell {
  readonly first: number;
  readonly last: number;
  /** Numbers of the four quarters, or `null` in a leaf. */
  quarters: number[] | null;
  readonly x: number;
  readonly y: number;
  readonly half: number;
}

export class Quadtree {
  private readonly points: Uint32Array;
  private readonly cells: Cell[] = [];

  constructor(
    private readonly x: Float32Array,
    private readonly y: Float32Array,
  ) {
    this.points = Uint32Array.from(x, (_, i) => i);
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < x.length; i += 1) {
      left = Math.min(left, x[i]!);
      right = Math.max(right, x[i]!);
      top = Math.min(top, y[i]!);
      bottom = Math.max(bottom, y[i]!);
    }
    if (x.length === 0) return;
    const half = Math.max(right - left, bottom - top, 1e-3) / 2;
    this.build(0, x.length, (left + right) / 2, (top + bottom) / 2, half, 0);
  }

  private build(
    first: number,
    last: number,
    x: number,
    y: number,
    half: number,
    depth: number,
  ): number {
    const cell: Cell = { first, last, quarters: null, x, y, half };
    const number = this.cells.push(cell) - 1;
    if (last - first <= LEAF || depth >= DEPTH_MAX) return number;
    const middle = this.part(first, last, this.y, y);
    const upper = this.part(first, middle, this.x, x);
    const lower = this.part(middle, last, this.x, x);
    const h = half / 2;
    cell.quarters = [
      this.build(first, upper, x - h, y - h, h, depth + 1),
      this.build(upper, middle, x + h, y - h, h, depth + 1),
      this.build(middle, lower, x - h, y + h, h, depth + 1),
      this.build(lower, last, x + h, y + h, h, depth + 1),
    ];
    return number;
  }

  /** Brings points below `split` to the front; returns where the others begin. */
  private part(first: number, last: number, values: Float32Array, split: number): number {
    let middle = first;
    for (let i = first; i < last; i += 1) {
      const point = this.points[i]!;
      if (values[point]! >= split) continue;
      this.points[i] = this.points[middle]!;
      this.points[middle++] = point;
    }
    return middle;
  }

  /** The point nearest to a place, at most `radius` away; -1 if there is none. */
  nearest(x: number, y: number, radius: number): number {
    let best = -1;
    let least = radius * radius;
    const open = this.cells.length > 0 ? [0] : [];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const cell = this.cells[next]!;
      const dx = Math.max(0, Math.abs(x - cell.x) - cell.half * 1.001);
      const dy = Math.max(0, Math.abs(y - cell.y) - cell.half * 1.001);
      if (dx * dx + dy * dy > least) continue;
      if (cell.quarters) {
        open.push(...cell.quarters);
        continue;
      }
      for (let i = cell.first; i < cell.last; i += 1) {
        const point = this.points[i]!;
        const away = (this.x[point]! - x) ** 2 + (this.y[point]! - y) ** 2;
        // The lower number wins a tie: it is nearer to the middle of the network.
        if (away < least || (away === least && (best < 0 || point < best))) {
          least = away;
          best = point;
        }
      }
    }
    return best;
  }
}
