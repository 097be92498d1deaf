// Where nodes are, in a plane of its own units: about one unit is a pixel at zoom 1.

export interface Positions {
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** Circles around the first node to be drawn as a guide: one per step, by radius. */
  readonly rings: readonly number[];
}

export type LayoutName = 'radial' | 'tree' | 'force';

/** A number from 0 to 1 that depends on the key alone: spreads what would stand in a row. */
export function scatter(key: string): number {
  let hash = 2_166_136_261;
  for (let i = 0; i < key.length; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 16_777_619);
  }
  // The last steps of murmur3: keys that differ in one place only must not end up side by side.
  hash = Math.imul(hash ^ (hash >>> 16), 2_246_822_507);
  hash = Math.imul(hash ^ (hash >>> 13), 3_266_489_909);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4_294_967_296;
}
