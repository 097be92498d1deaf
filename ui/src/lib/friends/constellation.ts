// The picture of a key: a constellation in a round piece of sky. One key has one picture on every
// computer; another key has, as good as certainly, one that looks different. It helps the eye to
// notice, and does not replace comparing the digits.

import { sha256 } from './sha256';

export interface Star {
  x: number;
  y: number;
  r: number;
}

export interface Constellation {
  /** In a square of 100 by 100; the first one is the brightest. */
  stars: Star[];
  /** Pairs of stars, by their places in the list. */
  lines: [number, number][];
}

const SIDE = 100;
/** Stars lie in the squares of a grid, so that no two touch; its corners are outside of the sky. */
const GRID = 4;
const FEWEST = 6;
const RADII = [3, 4, 5.2];
const BRIGHTEST = 7.2;

/** The bytes of a key of 64 hexadecimal digits. */
export function keyBytes(key: string): Uint8Array {
  return Uint8Array.from(key.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function constellation(key: string): Constellation {
  const bytes = sha256(keyBytes(key));
  let at = 0;
  const next = () => bytes[at++ % bytes.length] ?? 0;

  const cells: [number, number][] = [];
  for (let row = 0; row < GRID; row += 1) {
    for (let column = 0; column < GRID; column += 1) {
      const corner = row % (GRID - 1) === 0 && column % (GRID - 1) === 0;
      if (!corner) cells.push([column, row]);
    }
  }
  const count = FEWEST + (next() % 4);
  const cell = SIDE / (GRID + 0.8);
  const margin = (SIDE - cell * GRID) / 2;
  const stars: Star[] = [];
  while (stars.length < count) {
    const [[column, row] = [0, 0]] = cells.splice(next() % cells.length, 1);
    const spot = next();
    // 16 by 16 spots in the middle of a square.
    const along = 0.2 + 0.6 * ((spot & 15) / 15);
    const down = 0.2 + 0.6 * ((spot >> 4) / 15);
    stars.push({
      x: margin + (column + along) * cell,
      y: margin + (row + down) * cell,
      r: stars.length === 0 ? BRIGHTEST : (RADII[next() % RADII.length] ?? 3),
    });
  }
  return { stars, lines: connected(stars) };
}

/** Joins all stars with as little line as there can be. */
function connected(stars: Star[]): [number, number][] {
  const lines: [number, number][] = [];
  const joined = new Set([0]);
  const apart = (a: number, b: number) => {
    const [one, other] = [stars[a], stars[b]];
    return one && other ? Math.hypot(one.x - other.x, one.y - other.y) : Infinity;
  };
  while (joined.size < stars.length) {
    let best: [number, number] | null = null;
    for (const from of joined) {
      for (let to = 0; to < stars.length; to += 1) {
        if (joined.has(to)) continue;
        if (best === null || apart(from, to) < apart(...best)) best = [from, to];
      }
    }
    if (!best) break;
    joined.add(best[1]);
    lines.push(best);
  }
  return lines;
}

/** A key in lines of four groups of four digits, as `planetary friend verify` prints it. */
export function keyLines(key: string): string[] {
  const groups = key.match(/.{1,4}/g) ?? [];
  return Array.from({ length: Math.ceil(groups.length / 4) }, (_, at) =>
    groups.slice(at * 4, at * 4 + 4).join(' '),
  );
}
