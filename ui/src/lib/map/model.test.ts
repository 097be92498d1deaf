import { describe, expect, it } from 'vitest';
import { buildGraph, Flag, isKey, Kind, NODES_MAX, type NodeInput } from './model';
import { keyFor, skyOf } from './testing/skies';

function node(n: number, more: Partial<NodeInput> = {}): NodeInput {
  const unknown = { roles: [], parent: null, coordinates: null };
  return { key: keyFor(n), address: `200::${n}`, ...unknown, ...more };
}

describe('a graph', () => {
  it('holds who is who', () => {
    const graph = buildGraph(skyOf(60));
    expect(graph.count).toBe(60);
    expect(graph.flags[graph.self]! & Flag.self).toBeTruthy();
    expect(graph.flags[graph.root]! & Flag.root).toBeTruthy();
    expect(graph.parent[graph.root]).toBe(-1);
    expect([...graph.edges.kind].filter((kind) => kind === Kind.peer)).toHaveLength(4);
  });

  it('puts stand-ins where a place tells of nodes nobody named', () => {
    const me = node(0, { roles: ['self'], coordinates: [1] });
    const far = node(1, { roles: ['path'], coordinates: [1, 7, 3] });
    const graph = buildGraph({ revision: 1, nodes: [me, far], edges: [] });
    // The root and the node at `1 7`; the one at `1` is this node.
    expect(graph.count).toBe(4);
    const above = graph.parent[graph.index.get(keyFor(1))!]!;
    expect(graph.flags[above]! & Flag.standIn).toBeTruthy();
    expect(graph.parent[above]).toBe(graph.index.get(keyFor(0)));
    expect(graph.flags[graph.root]! & Flag.standIn).toBeTruthy();
    expect(isKey(graph.keys[above]!)).toBe(false);
  });

  it('uses one stand-in for all who are below it', () => {
    const nodes = [3, 4, 5].map((port) => node(port, { coordinates: [9, 9, port] }));
    expect(buildGraph({ revision: 1, nodes, edges: [] }).count).toBe(6);
  });

  it('makes no stand-ins for an absurd place', () => {
    const nodes = [node(0, { coordinates: new Array<number>(5_000).fill(1) })];
    expect(buildGraph({ revision: 1, nodes, edges: [] }).count).toBe(1);
  });

  it('cuts circles of parents', () => {
    const parents = [1, 2, 0, 3, 5, 4];
    const nodes = parents.map((parent, n) => node(n, { parent: keyFor(parent) }));
    const graph = buildGraph({ revision: 1, nodes, edges: [] });
    for (let n = 0; n < graph.count; n += 1) {
      let steps = 0;
      for (let at = n; at >= 0; at = graph.parent[at]!) expect((steps += 1)).toBeLessThan(10);
    }
  });

  it('leaves out edges without an end, loops, doubles and unknown kinds', () => {
    const [a, b] = [keyFor(0), keyFor(1)];
    const edges = [
      { from: a, to: keyFor(9), kind: 'peer' },
      { from: a, to: a, kind: 'peer' },
      { from: a, to: b, kind: 'wormhole' },
      { from: a, to: b, kind: 'toString' },
      { from: a, to: b, kind: 'peer', latency_ms: null },
      { from: b, to: a, kind: 'peer', latency_ms: 12 },
      { from: a, to: b, kind: 'session', latency_ms: -4 },
    ];
    const graph = buildGraph({ revision: 1, nodes: [node(0), node(1)], edges });
    expect(graph.edges.count).toBe(2);
    expect(graph.edges.latency[0]).toBe(12);
    expect(graph.edges.latency[1]).toBeNaN();
  });

  it('drops what is no key and joins what comes twice', () => {
    const nodes = [
      node(0, { roles: ['peer'] }),
      node(0, { roles: ['session', 'from_the_future'] }),
      { ...node(1), key: '../../etc/passwd' },
    ];
    const graph = buildGraph({ revision: 1, nodes, edges: [] });
    expect(graph.count).toBe(1);
    expect(graph.flags[0]).toBe(Flag.peer | Flag.session);
  });

  it('stays bounded', () => {
    const key = (n: number): string => n.toString(16).padStart(64, '0');
    const nodes = Array.from({ length: NODES_MAX + 50 }, (_, n) => ({ ...node(0), key: key(n) }));
    const graph = buildGraph({ revision: 1, nodes, edges: [] });
    expect(graph.count).toBe(NODES_MAX);
    expect(graph.omitted).toBe(50);
  });

  it('gives neighbours in an order that does not depend on who came first', () => {
    const sky = skyOf(40);
    const turned = { ...sky, nodes: [...sky.nodes].reverse(), edges: [...sky.edges].reverse() };
    const names = (graph: ReturnType<typeof buildGraph>, key: string): string[] => {
      const at = graph.index.get(key)!;
      return [...graph.near.subarray(graph.start[at], graph.start[at + 1])].map(
        (n) => graph.keys[n]!,
      );
    };
    for (const { key } of sky.nodes) {
      expect(names(buildGraph(sky), key)).toEqual(names(buildGraph(turned), key));
    }
  });
});
