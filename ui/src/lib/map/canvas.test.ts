import { describe, expect, it } from 'vitest';
import { busyOf, busyShare, Activity } from './activity';
import { Quadtree } from './hit';
import { HISTORY_MS, TopologyHistory } from './history';
import { LABELS_MAX, overlap, placeLabels, type LabelWish } from './labels';
import { keyFor, randomFrom, skyOf } from './testing/skies';
import {
  between,
  boundsOf,
  fit,
  HOME,
  keepNear,
  NO_INSETS,
  pan,
  toPlane,
  toScreen,
  zoomAt,
  ZOOM_MAX,
  ZOOM_MIN,
} from './viewport';

const size = { width: 800, height: 600 };

describe('the viewport', () => {
  it('goes there and back', () => {
    const view = { x: 12, y: -7, k: 0.4 };
    const place = { x: 123.5, y: -99 };
    const back = toPlane(view, size, toScreen(view, size, place));
    expect(back.x).toBeCloseTo(place.x);
    expect(back.y).toBeCloseTo(place.y);
  });

  it('zooms around the pointer and within limits', () => {
    const at = { x: 650, y: 80 };
    const view = { x: 5, y: 5, k: 0.7 };
    const under = toPlane(view, size, at);
    const after = toPlane(zoomAt(view, size, at, 2.5), size, at);
    expect(after.x).toBeCloseTo(under.x);
    expect(after.y).toBeCloseTo(under.y);
    expect(zoomAt(view, size, at, 1e9).k).toBe(ZOOM_MAX);
    expect(zoomAt(view, size, at, 1e-9).k).toBe(ZOOM_MIN);
  });

  it('pans by pixels', () => {
    const view = { x: 0, y: 0, k: 2 };
    expect(pan(view, 20, -10)).toEqual({ x: -10, y: 5, k: 2 });
  });

  it('shows everything beside what lies over it', () => {
    const bounds = { left: -300, top: -900, right: 500, bottom: 100 };
    const insets = { ...NO_INSETS, right: 320 };
    const view = fit(bounds, size, insets);
    for (const corner of [
      { x: -300, y: -900 },
      { x: 500, y: 100 },
    ]) {
      const { x, y } = toScreen(view, size, corner);
      expect(x).toBeGreaterThan(0);
      expect(x).toBeLessThan(480);
      expect(y).toBeGreaterThan(0);
      expect(y).toBeLessThan(600);
    }
  });

  it('fits one point without magnifying it endlessly', () => {
    const view = fit(boundsOf(new Float32Array(1), new Float32Array(1)), size, NO_INSETS);
    expect(view.k).toBeLessThan(2);
    expect(Number.isFinite(view.x + view.y)).toBe(true);
    expect(boundsOf(new Float32Array(0), new Float32Array(0)).left).toBe(0);
  });

  it('never loses the network from sight', () => {
    const bounds = { left: -10, top: -10, right: 10, bottom: 10 };
    expect(keepNear({ x: 900, y: -900, k: 1 }, bounds)).toEqual({ x: 10, y: -10, k: 1 });
  });

  it('flies from one view to another', () => {
    const to = { x: 100, y: 50, k: 3 };
    const [start, end] = [between(HOME, to, 0), between(HOME, to, 1)];
    expect(start.x).toBeCloseTo(0);
    expect(end.x).toBeCloseTo(100);
    expect(end.k).toBeCloseTo(3);
    expect(between(HOME, { ...HOME, x: 8 }, 0.5).x).toBeCloseTo(4);
  });
});

describe('the quadtree', () => {
  it('finds what a search of all finds', () => {
    const random = randomFrom(3);
    const x = Float32Array.from({ length: 3_000 }, () => random() * 1_000);
    const y = Float32Array.from({ length: 3_000 }, () => random() * random() * 1_000);
    const tree = new Quadtree(x, y);
    for (let i = 0; i < 300; i += 1) {
      const [px, py] = [random() * 1_000, random() * 1_000];
      let best = -1;
      let least = 20 * 20;
      for (let n = 0; n < x.length; n += 1) {
        const away = (x[n]! - px) ** 2 + (y[n]! - py) ** 2;
        if (away < least) [least, best] = [away, n];
      }
      expect(tree.nearest(px, py, 20)).toBe(best);
    }
  });

  it('bears a crowd on one spot, and nobody', () => {
    const crowd = new Quadtree(new Float32Array(5_000), new Float32Array(5_000));
    expect(crowd.nearest(1, 1, 5)).toBe(0);
    expect(crowd.nearest(10, 10, 5)).toBe(-1);
    expect(new Quadtree(new Float32Array(0), new Float32Array(0)).nearest(0, 0, 9)).toBe(-1);
  });
});

describe('labels', () => {
  const wish = (node: number, x: number, y: number, rank = 5, always = false): LabelWish => {
    return { node, x, y, away: 4, width: 60, height: 15, rank, side: 'right', always };
  };

  it('never cover each other', () => {
    const random = randomFrom(5);
    const wishes = Array.from({ length: 400 }, (_, n) =>
      wish(n, random() * size.width, random() * size.height, n % 5),
    );
    const placed = placeLabels(wishes, [], size);
    expect(placed.length).toBeGreaterThan(30);
    expect(placed.length).toBeLessThanOrEqual(LABELS_MAX);
    placed.forEach((a, i) => {
      for (const b of placed.slice(i + 1)) expect(overlap(a.box, b.box)).toBe(false);
    });
  });

  it('gives way to those that matter more', () => {
    const crowd = Array.from({ length: 9 }, (_, n) => wish(n, 300 + n, 300, n));
    const placed = placeLabels(crowd, [], size).map(({ node }) => node);
    expect(placed).toContain(0);
    expect(placed).not.toContain(8);
  });

  it('goes to another side of the node when one is taken', () => {
    const [free] = placeLabels([wish(0, 400, 300)], [], size);
    const taken = { left: 400, top: 280, right: 480, bottom: 320 };
    const [moved] = placeLabels([wish(0, 400, 300)], [taken], size);
    expect(free!.box.left).toBeGreaterThan(400);
    expect(moved!.box.right).toBeLessThan(400);
  });

  it('shows what must be shown', () => {
    const everything = { left: 0, top: 0, right: 800, bottom: 600 };
    expect(placeLabels([wish(0, 400, 300)], [everything], size)).toHaveLength(0);
    expect(placeLabels([wish(0, 400, 300, 0, true)], [everything], size)).toHaveLength(1);
  });
});

describe('the history', () => {
  it('gives back what was', () => {
    const history = new TopologyHistory();
    const skies = [10, 12, 9, 30].map((count, n) => ({ ...skyOf(count, n), revision: n }));
    skies.forEach((sky, n) => history.record(n * 5_000, sky));
    expect(history.times()).toEqual([0, 5_000, 10_000, 15_000]);
    skies.forEach((sky, n) => {
      const was = history.at(n * 5_000 + 1_000)!;
      const sorted = (list: readonly object[]): string[] =>
        list.map((one) => JSON.stringify(one)).sort();
      expect(sorted(was.nodes)).toEqual(sorted(sky.nodes));
      expect(sorted(was.edges)).toEqual(sorted(sky.edges));
      expect(was.revision).toBe(n);
    });
  });

  it('joins what comes at once, and loses nothing of it', () => {
    const history = new TopologyHistory();
    history.record(0, skyOf(5));
    history.record(100, skyOf(6));
    history.record(200, skyOf(7));
    expect(history.times()).toEqual([0, 200]);
    expect(history.at(250)!.nodes).toHaveLength(7);
    history.record(60_000, skyOf(8));
    expect(history.at(30_000)!.nodes).toHaveLength(7);
    expect(history.times()).toEqual([0, 200, 60_000]);
  });

  it('forgets what is older than ten minutes', () => {
    const history = new TopologyHistory();
    for (let n = 0; n < 400; n += 1) history.record(n * 3_000, skyOf(20 + (n % 3)));
    const times = history.times();
    const end = 399 * 3_000;
    expect(times.at(-1)).toBe(end);
    expect(times[0]).toBeGreaterThan(end - HISTORY_MS - 6_000);
    expect(history.at(0)!.nodes.length).toBeGreaterThan(0);
  });

  it('stays bounded when everything changes all the time', () => {
    const history = new TopologyHistory();
    const sky = skyOf(2_000);
    const moved = (n: number) => {
      return { ...sky, nodes: sky.nodes.map((node) => ({ ...node, sequence: n })) };
    };
    for (let n = 0; n < 80; n += 1) history.record(n * 3_000, moved(n));
    expect(history.times().length).toBeLessThan(62);
    expect(history.at(Infinity)!.nodes).toHaveLength(2_000);
  });

  it('starts anew when time runs backwards', () => {
    const history = new TopologyHistory();
    history.record(50_000, skyOf(5));
    history.record(10, skyOf(6));
    expect(history.times()).toEqual([10]);
  });
});

describe('activity', () => {
  it('grows with the rate, by factors', () => {
    expect(busyShare(0)).toBe(0);
    expect(busyShare(Number.NaN)).toBe(0);
    expect(busyShare(1e12)).toBe(1);
    expect(busyShare(200_000)).toBeGreaterThan(busyShare(20_000));
  });

  it('counts what a session carried between two looks', () => {
    const activity = new Activity();
    const sky = skyOf(40);
    const later = sky.nodes.map((node) =>
      node.rx_bytes ? { ...node, rx_bytes: node.rx_bytes + 4_000_000 } : node,
    );
    expect(activity.sessions(0, sky).size).toBe(0);
    const rates = activity.sessions(2_000, { ...sky, nodes: later });
    expect([...rates.values()][0]).toBeCloseTo(2_000_000);
    // A counter that starts anew is no traffic.
    expect(activity.sessions(4_000, sky).size).toBe(0);
  });

  it('takes links that are up', () => {
    const link = { key: keyFor(1), rx_rate: 1e6, tx_rate: null };
    const busy = busyOf([{ ...link, up: true }], new Map());
    expect(busy.get(keyFor(1))).toBeGreaterThan(0.5);
    expect(busyOf([{ ...link, up: false }], new Map()).size).toBe(0);
  });
});
