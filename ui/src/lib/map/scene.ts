/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// What is drawn: the nodes of a graph that are shown, where they stand, and the edges between them,
// sorted by how they look. Nodes of a scene have numbers of their own, from the middle outwards.

import { radial, tree, type LayoutName, type Positions } from './layout';
import { Flag, Kind, type Graph } from './model';
import { span, type Spanning } from './span';
import { choose, VISIBLE_MAX, type Visible } from './visible';

/** Edges of one look: ends are nodes of the scene. */
export interface Bundle {
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** Round trip in milliseconds, NaN while unknown. */
  readonly latency: Float32Array;
}

export interface Scene {
  readonly graph: Graph;
  readonly layout: LayoutName;
  readonly visible: Visible;
  /** Flags of the nodes shown. */
  readonly flags: Uint16Array;
  /** Neighbours each node shown has, as far as they are shown. */
  readonly degree: Uint16Array;
  readonly positions: Positions;
  /** Edges along which the scene hangs together, but for those to leaves. */
  readonly branches: Bundle;
  /** Edges to leaves. */
  readonly twigs: Bundle;
  /** Other edges that are known. */
  readonly cross: Bundle;
  /** Links of this node. */
  readonly direct: Bundle;
  /** Sessions over several hops, and ways to nodes whose place is unknown. */
  readonly arcs: Bundle;
  /** This node among those shown, -1 in an empty scene. */
  readonly self: number;
}

export interface SceneWishes {
  layout: LayoutName;
  budget?: number;
  opened?: ReadonlySet<string>;
  keep?: readonly string[];
}

/** Makes the scene of `graph`. A force layout starts from the radial one and is moved later. */
export function buildScene(graph: Graph, wishes: SceneWishes): Scene {
  const fromRoot = wishes.layout === 'tree' && graph.root >= 0;
  const first = fromRoot ? graph.root : Math.max(0, graph.self);
  const spanning = span(graph, first);
  const visible = choose(graph, spanning, {
    budget: wishes.budget ?? VISIBLE_MAX,
    opened: wishes.opened ?? new Set(),
    keep: wishes.keep ?? [],
  });
  const keys = Array.from(visible.nodes, (node) => graph.keys[node]!);
  const self = graph.self < 0 ? -1 : visible.at[graph.self]!;
  const positions = wishes.layout === 'tree' ? tree(visible, self) : radial(visible, keys);
  const bundles = sort(graph, visible, spanning);
  const degree = new Uint16Array(visible.nodes.length);
  for (const { from, to } of [bundles.branches, bundles.twigs, bundles.cross, bundles.direct]) {
    for (let e = 0; e < from.length; e += 1) {
      degree[from[e]!]! += 1;
      degree[to[e]!]! += 1;
    }
  }
  return {
    graph,
    layout: wishes.layout,
    visible,
    flags: Uint16Array.from(visible.nodes, (node) => graph.flags[node]!),
    degree,
    positions: wishes.layout === 'force' ? { ...positions, rings: [] } : positions,
    ...bundles,
    self,
  };
}

type Bundles = Pick<Scene, 'branches' | 'twigs' | 'cross' | 'direct' | 'arcs'>;

function sort(graph: Graph, visible: Visible, { up, size, loose }: Spanning): Bundles {
  const { edges } = graph;
  const picked: Record<keyof Bundles, number[]> = {
    branches: [],
    twigs: [],
    cross: [],
    direct: [],
    arcs: [],
  };
  const linked = new Set<number>();
  for (let e = 0; e < edges.count; e += 1) {
    if (edges.kind[e] === Kind.peer) linked.add(pair(graph, edges.from[e]!, edges.to[e]!));
  }
  const arcs = new Set<number>();
  for (let e = 0; e < edges.count; e += 1) {
    const [a, b, kind] = [edges.from[e]!, edges.to[e]!, edges.kind[e]!];
    if (visible.at[a]! < 0 || visible.at[b]! < 0) continue;
    const ends = pair(graph, a, b);
    if (kind === Kind.peer) picked.direct.push(e);
    else if (linked.has(ends)) continue;
    else if (kind === Kind.tree || kind === Kind.link) {
      const below = up[a] === b ? a : up[b] === a ? b : -1;
      if (below < 0) picked.cross.push(e);
      else if (size[below] === 1) picked.twigs.push(e);
      else picked.branches.push(e);
    } else if (kind === Kind.session || loose[a]! + loose[b]! > 0) {
      if (!arcs.has(ends)) picked.arcs.push(e);
      arcs.add(ends);
    }
  }
  const bundle = (list: readonly number[]): Bundle => ({
    from: Uint32Array.from(list, (e) => visible.at[edges.from[e]!]!),
    to: Uint32Array.from(list, (e) => visible.at[edges.to[e]!]!),
    latency: Float32Array.from(list, (e) => edges.latency[e]!),
  });
  return {
    branches: bundle(picked.branches),
    twigs: bundle(picked.twigs),
    cross: bundle(picked.cross),
    direct: bundle(picked.direct),
    arcs: bundle(picked.arcs),
  };
}

function pair(graph: Graph, a: number, b: number): number {
  return Math.min(a, b) * graph.count + Math.max(a, b);
}

/** Key of node `n` of the scene. */
export function keyOf(scene: Scene, n: number): string {
  return scene.graph.keys[scene.visible.nodes[n]!]!;
}

/** Node of the scene with that key, -1 when it is not shown. */
export function sceneNode(scene: Scene, key: string | null): number {
  const node = key === null ? undefined : scene.graph.index.get(key);
  return node === undefined ? -1 : scene.visible.at[node]!;
}

/** Nodes of the scene in order of closeness to this node: the order in which keys walk them. */
export function walkOrder(scene: Scene): number[] {
  const steps = stepsFromSelf(scene);
  const order = Array.from(scene.visible.nodes, (_, n) => n);
  const weight = (n: number): number => steps[n]! * 2 + (scene.flags[n]! & Flag.standIn ? 1 : 0);
  return order.sort((a, b) => weight(a) - weight(b) || a - b);
}

/** Steps of every node of the scene from this node. */
export function stepsFromSelf(scene: Scene): Uint16Array {
  if (scene.layout !== 'tree' || scene.graph.self < 0) return scene.visible.depth;
  const { depth } = span(scene.graph, scene.graph.self);
  return Uint16Array.from(scene.visible.nodes, (node) => depth[node]!);
}
