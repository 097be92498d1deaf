import { describe, expect, it } from 'vitest';
import { ForceRun } from './layout/force';
import { buildGraph, EMPTY_GRAPH, Flag } from './model';
import { routeFrom, routeTo } from './route';
import { buildScene, keyOf, sceneNode, walkOrder } from './scene';
import { span } from './span';
import { addressFor, keyFor, skyOf } from './testing/skies';
import { VISIBLE_MAX } from './visible';

const all = { budget: Infinity };

function finite(values: Float32Array): boolean {
  return values.every((value) => Number.isFinite(value));
}

describe('a spanning tree', () => {
  it('reaches everybody once, from the inside outwards', () => {
    const graph = buildGraph(skyOf(500));
    const tree = span(graph, graph.self);
    expect(new Set(tree.order).size).toBe(500);
    expect(tree.size[graph.self]).toBe(500);
    const place = new Map([...tree.order].map((node, o) => [node, o]));
    for (const node of tree.order) {
      const up = tree.up[node]!;
      if (up >= 0) expect(place.get(up)).toBeLessThan(place.get(node)!);
    }
  });

  it('hangs a node of unknown place below the peer that leads to it', () => {
    const nowhere = { roles: ['path'], parent: null, coordinates: null };
    const graph = buildGraph({
      revision: 1,
      nodes: [
        { key: keyFor(0), address: addressFor(0), ...nowhere, roles: ['self'] },
        { key: keyFor(1), address: addressFor(1), ...nowhere, roles: ['peer'] },
        { key: keyFor(2), address: addressFor(2), ...nowhere, via: keyFor(1) },
        { key: keyFor(3), address: addressFor(3), ...nowhere },
      ],
      edges: [{ from: keyFor(0), to: keyFor(1), kind: 'peer' }],
    });
    const tree = span(graph, graph.self);
    expect([...tree.up]).toEqual([-1, 0, 1, 0]);
    expect([...tree.loose]).toEqual([0, 0, 1, 1]);
  });
});

describe.each(['radial', 'tree', 'force'] as const)('the %s layout', (layout) => {
  it.each([1, 2, 5, 60, 2_000, 10_000])('places %i nodes', (count) => {
    const scene = buildScene(buildGraph(skyOf(count)), { layout, ...all });
    expect(scene.visible.nodes).toHaveLength(count);
    expect(finite(scene.positions.x) && finite(scene.positions.y)).toBe(true);
  });

  it('is the same every time', () => {
    const one = buildScene(buildGraph(skyOf(300)), { layout });
    const two = buildScene(buildGraph(skyOf(300)), { layout });
    expect(one.positions).toEqual(two.positions);
  });

  it('can show nobody', () => {
    expect(buildScene(EMPTY_GRAPH, { layout }).visible.nodes).toHaveLength(0);
  });

  it('does not put two nodes on one spot', () => {
    const { positions } = buildScene(buildGraph(skyOf(1_500)), { layout });
    const spots = new Set(Array.from(positions.x, (x, n) => `${x} ${positions.y[n]}`));
    expect(spots.size).toBe(1_500);
  });

  it('survives a chain as long as the graph may be', () => {
    const nodes = Array.from({ length: 8_000 }, (_, n) => ({
      key: keyFor(n),
      address: addressFor(n),
      roles: n === 0 ? ['self'] : ['path'],
      parent: keyFor(Math.max(0, n - 1)),
      coordinates: null,
    }));
    const graph = buildGraph({ revision: 1, nodes, edges: [] });
    const { positions } = buildScene(graph, { layout, ...all });
    expect(finite(positions.x) && finite(positions.y)).toBe(true);
  });
});

describe('the radial layout', () => {
  it('has you in the middle and every hop further out', () => {
    const scene = buildScene(buildGraph(skyOf(60)), { layout: 'radial' });
    const { x, y, rings } = scene.positions;
    expect([x[scene.self], y[scene.self]]).toEqual([0, 0]);
    scene.visible.depth.forEach((depth, n) => {
      const radius = Math.hypot(x[n]!, y[n]!);
      expect(radius).toBeCloseTo(depth === 0 ? 0 : rings[depth - 1]!, 1);
    });
  });
});

describe('the tree layout', () => {
  it('has the root at the top and nobody within reach of a neighbour', () => {
    const graph = buildGraph(skyOf(400));
    const scene = buildScene(graph, { layout: 'tree' });
    const { x, y } = scene.positions;
    expect(scene.visible.nodes[0]).toBe(graph.root);
    for (let n = 0; n < x.length; n += 1) {
      expect(y[n]).toBeGreaterThanOrEqual(y[0]!);
      for (let m = n + 1; m < x.length; m += 1) {
        expect(Math.hypot(x[n]! - x[m]!, y[n]! - y[m]!)).toBeGreaterThan(10);
      }
    }
  });
});

describe('the force layout', () => {
  it('comes to rest in the same place every time, with you in the middle', () => {
    const run = (): ForceRun => {
      const scene = buildScene(buildGraph(skyOf(80)), { layout: 'force' });
      const { x, y } = scene.positions;
      const force = new ForceRun({ job: 1, x, y, ...scene.branches, warm: false });
      while (!force.done) force.step();
      return force;
    };
    const one = run().positions();
    expect(one).toEqual(run().positions());
    expect([one.x[0], one.y[0]]).toEqual([0, 0]);
    expect(finite(one.x) && finite(one.y)).toBe(true);
  });
});

describe('what is shown', () => {
  const graph = buildGraph(skyOf(10_000));

  it('is bounded, and says what is not shown', () => {
    const { visible } = buildScene(graph, { layout: 'radial' });
    expect(visible.nodes).toHaveLength(VISIBLE_MAX);
    const hidden = visible.hidden.reduce((sum, count) => sum + count, 0);
    expect(hidden).toBe(10_000 - VISIBLE_MAX);
  });

  it('always holds what matters and what somebody looks for', () => {
    const far = graph.keys[9_400]!;
    const wishes = { layout: 'radial' as const, budget: 60, keep: [far] };
    const scene = buildScene(graph, wishes);
    expect(sceneNode(scene, far)).toBeGreaterThanOrEqual(0);
    const matters = Flag.self | Flag.peer | Flag.session | Flag.friend;
    graph.flags.forEach((flags, node) => {
      if (flags & matters) expect(scene.visible.at[node]).toBeGreaterThanOrEqual(0);
    });
  });

  it('grows where a node is opened', () => {
    const before = buildScene(graph, { layout: 'radial', budget: 200 });
    const most = before.visible.hidden.reduce((a, h, n, all) => (h > all[a]! ? n : a), 0);
    const opened = new Set([keyOf(before, most)]);
    const after = buildScene(graph, { layout: 'radial', budget: 200, opened });
    expect(after.visible.nodes.length).toBeGreaterThan(200);
    const now = sceneNode(after, keyOf(before, most));
    expect(after.visible.hidden[now]).toBeLessThan(before.visible.hidden[most]!);
  });
});

describe('walking the map', () => {
  it('begins with you and goes outwards', () => {
    const scene = buildScene(buildGraph(skyOf(60)), { layout: 'radial' });
    const order = walkOrder(scene);
    expect(order[0]).toBe(scene.self);
    const depths = order.map((n) => scene.visible.depth[n]!);
    expect(depths).toEqual([...depths].sort((a, b) => a - b));
  });
});

describe('the way to a node', () => {
  it('goes from neighbour to neighbour', () => {
    const graph = buildGraph(skyOf(300));
    for (let target = 0; target < graph.count; target += 7) {
      const way = routeTo(graph, target)!;
      expect(way[0]).toBe(graph.self);
      expect(way.at(-1)).toBe(target);
      expect(new Set(way).size).toBe(way.length);
      for (let hop = 1; hop < way.length; hop += 1) {
        const [a, b] = [way[hop - 1]!, way[hop]!];
        expect(graph.near.subarray(graph.start[a], graph.start[a + 1])).toContain(b);
      }
    }
  });

  it('goes over the peer in use', () => {
    const place = { roles: [], parent: null };
    const edge = (from: number, to: number, kind: string) => ({
      from: keyFor(from),
      to: keyFor(to),
      kind,
    });
    const graph = buildGraph({
      revision: 1,
      nodes: [
        { key: keyFor(0), address: '', ...place, roles: ['self'], coordinates: [1, 1] },
        { key: keyFor(1), address: '', ...place, coordinates: [1] },
        { key: keyFor(2), address: '', ...place, coordinates: [2] },
        { key: keyFor(3), address: '', ...place, coordinates: [3], via: keyFor(2) },
      ],
      edges: [edge(0, 1, 'peer'), edge(0, 2, 'peer')],
    });
    const way = routeTo(graph, 3)!.map((node) => graph.keys[node]);
    expect(way).toEqual([keyFor(0), keyFor(2), '@', keyFor(3)]);
  });

  it('is taken from the service where all of it is on the map', () => {
    const graph = buildGraph(skyOf(60));
    const way = routeTo(graph, 40)!;
    const hops = way.map((node) => ({ key: graph.keys[node]!, coordinates: null }));
    expect(routeFrom(graph, hops)).toEqual(way);
    expect(routeFrom(graph, [...hops, { key: null, coordinates: [9, 9, 9] }])).toBeNull();
    expect(routeFrom(graph, [hops[0]!, hops[0]!])).toBeNull();
    expect(routeFrom(graph, hops.slice(1))).toBeNull();
  });

  it('is unknown to a node of unknown place', () => {
    const nowhere = { address: '', parent: null, coordinates: null };
    const nodes = [
      { key: keyFor(0), ...nowhere, roles: ['self'] },
      { key: keyFor(1), ...nowhere, roles: ['session'] },
    ];
    const graph = buildGraph({ revision: 1, nodes, edges: [] });
    expect(routeTo(graph, 1)).toBeNull();
    expect(routeTo(graph, 0)).toEqual([0]);
  });
});
