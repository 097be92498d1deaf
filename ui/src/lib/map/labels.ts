/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// Where labels go: each beside its node, where it covers neither another label nor what matters
// more. Those that matter most choose first; who finds no place stays without.

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export type Side = 'right' | 'left' | 'below';

export interface LabelWish {
  /** Node of the scene. */
  readonly node: number;
  readonly x: number;
  readonly y: number;
  /** Pixels to keep from the middle of the node. */
  readonly away: number;
  readonly width: number;
  readonly height: number;
  /** The lower, the earlier. */
  readonly rank: number;
  /** The side that is tried first; then right, left, below and above. */
  readonly side: Side;
  /** Shown even when it covers something. */
  readonly always: boolean;
}

export interface Label {
  readonly node: number;
  readonly box: Box;
}

/** Labels on the canvas at once; more would be read by nobody. */
export const LABELS_MAX = 60;
const GAP = 3;
/** Pixels between two labels, at least. */
const AIR = 3;
const CELL = 96;

/** Boxes that are taken, found by where they are. */
class Taken {
  private readonly cells = new Map<number, Box[]>();

  private *cellsOf(box: Box): Iterable<number> {
    const [left, right] = [Math.floor(box.left / CELL), Math.floor(box.right / CELL)];
    const [top, bottom] = [Math.floor(box.top / CELL), Math.floor(box.bottom / CELL)];
    for (let x = left; x <= right; x += 1) {
      for (let y = top; y <= bottom; y += 1) yield x * 4_096 + y;
    }
  }

  add(box: Box): void {
    for (const cell of this.cellsOf(box)) {
      const there = this.cells.get(cell);
      if (there) there.push(box);
      else this.cells.set(cell, [box]);
    }
  }

  free(box: Box): boolean {
    for (const cell of this.cellsOf(box)) {
      for (const other of this.cells.get(cell) ?? []) if (overlap(box, other)) return false;
    }
    return true;
  }
}

export function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** Places labels on a canvas of that size, beside `obstacles`. */
export function placeLabels(
  wishes: readonly LabelWish[],
  obstacles: readonly Box[],
  size: { width: number; height: number },
): Label[] {
  const taken = new Taken();
  for (const box of obstacles) taken.add(box);
  const placed: Label[] = [];
  const sorted = [...wishes].sort((a, b) => a.rank - b.rank || a.node - b.node);
  for (const wish of sorted) {
    if (placed.length >= LABELS_MAX) break;
    const places = placesFor(wish);
    const box =
      places.find((place) => inside(place, size) && taken.free(place)) ??
      (wish.always ? (places.find((place) => inside(place, size)) ?? places[0]!) : null);
    if (!box) continue;
    taken.add({
      left: box.left - AIR,
      top: box.top - AIR,
      right: box.right + AIR,
      bottom: box.bottom + AIR,
    });
    placed.push({ node: wish.node, box });
  }
  return placed;
}

function inside(box: Box, size: { width: number; height: number }): boolean {
  return box.left >= 0 && box.top >= 0 && box.right <= size.width && box.bottom <= size.height;
}

/** Beside the node, in the order of preference. */
function placesFor({ x, y, away, width, height, side }: LabelWish): Box[] {
  const at = (left: number, top: number): Box => ({
    left,
    top,
    right: left + width,
    bottom: top + height,
  });
  const right = at(x + away + GAP, y - height / 2);
  const left = at(x - away - GAP - width, y - height / 2);
  const below = at(x - width / 2, y + away + 1);
  const above = at(x - width / 2, y - away - 1 - height);
  if (side === 'left') return [left, right, below, above];
  if (side === 'below') return [below, above, right, left];
  return [right, left, below, above];
}
