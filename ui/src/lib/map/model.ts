/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// From what the service says of the network to a graph that can be laid out and drawn.
//
// Nodes are numbers from 0 in one graph; across graphs a node is its key. Everything that comes from
// the network is taken with care: parents may form circles, ends of edges may be missing, lists may
// be endless. What comes out is bounded, its tree has no circle and its edges have two ends.
//
// A node whose place in the tree is known, but not the nodes above it, gets stand-ins for these: the
// place `1 7 3` says that there is a node at `1 7`, whoever it is. So known paths hang where they
// belong instead of floating about.

/** A node as the service describes it; what is optional is not known by every service. */
export interface NodeInput {
  key: string;
  address: string;
  roles: readonly string[];
  parent: string | null;
  port?: number | null;
  coordinates: readonly number[] | null;
  sequence?: number | null;
  name?: string | null;
  direct?: boolean;
  latency_ms?: number | null;
  rx_bytes?: number | null;
  tx_bytes?: number | null;
  via?: string | null;
}

/** An edge as the service describes it. */
export interface EdgeInput {
  from: string;
  to: string;
  kind: string;
  latency_ms?: number | null;
}

/** A whole topology: all pages joined. */
export interface TopologyInput {
  revision: number;
  nodes: readonly NodeInput[];
  edges: readonly EdgeInput[];
}

/** Bits that say what a node is. */
export const Flag = {
  self: 1,
  peer: 2,
  ancestor: 4,
  path: 8,
  session: 16,
  explored: 32,
  root: 64,
  friend: 128,
  /** Nobody knows who it is, only that it is there. */
  standIn: 256,
} as const;

/** What an edge is. `tree` and `link` were told by others, `peer` is a link of this node. */
export const Kind = { tree: 0, link: 1, peer: 2, path: 3, session: 4 } as const;

/** Most nodes of a graph, stand-ins included. What is beyond is counted, not shown. */
export const NODES_MAX = 20_000;
/** Most edges of a graph. */
export const EDGES_MAX = 60_000;
/** Longest place in the tree for which stand-ins are made; the network itself stays far below. */
const PLACE_LEN_MAX = 64;

export interface Edges {
  readonly count: number;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  readonly kind: Uint8Array;
  /** Round trip in milliseconds, NaN while unknown. */
  readonly latency: Float32Array;
}

export interface Graph {
  readonly revision: number;
  readonly count: number;
  /** Nodes that were left out because there are too many. */
  readonly omitted: number;
  readonly keys: readonly string[];
  readonly index: ReadonlyMap<string, number>;
  /** What the service says of each node, `null` for a stand-in. */
  readonly nodes: readonly (NodeInput | null)[];
  readonly flags: Uint16Array;
  /** Parent in the tree, -1 at the root and where unknown. */
  readonly parent: Int32Array;
  /** Peer through which the node is reached, -1 when unknown. */
  readonly via: Int32Array;
  /** Round trip in milliseconds, NaN while unknown. */
  readonly latency: Float32Array;
  readonly edges: Edges;
  /** Neighbours over tree, link and peer edges: those of `i` are `near[start[i]..start[i + 1]]`. */
  readonly start: Uint32Array;
  readonly near: Uint32Array;
  /** This node, -1 in an empty graph. */
  readonly self: number;
  /** Root of the tree, -1 while unknown. */
  readonly root: number;
}

// Maps, not objects: `toString` is no role, whoever sends it.
const FLAG_OF_ROLE: ReadonlyMap<string, number> = new Map(
  (['self', 'peer', 'ancestor', 'path', 'session', 'explored'] as const).map((role) => [
    role,
    Flag[role],
  ]),
);
const KINDS: ReadonlyMap<string, number> = new Map(Object.entries(Kind));

const KEY = /^[0-9a-f]{64}$/;

/** Key of the stand-in for the node at `place`; cannot be taken for the key of a node. */
export function standInKey(place: readonly number[]): string {
  return `@${place.join('.')}`;
}

/** Whether `key` is that of a node, not of a stand-in. */
export function isKey(key: string): boolean {
  return KEY.test(key);
}

function known(value: number | null | undefined): number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : Number.NaN;
}

/** Collects nodes; hands out their numbers. */
class Nodes {
  readonly keys: string[] = [];
  readonly inputs: (NodeInput | null)[] = [];
  readonly flags: number[] = [];
  readonly index = new Map<string, number>();
  omitted = 0;

  add(key: string, input: NodeInput | null, flags: number): number {
    const there = this.index.get(key);
    if (there !== undefined) {
      this.flags[there] = this.flags[there]! | flags;
      return there;
    }
    if (this.keys.length >= NODES_MAX) {
      this.omitted += 1;
      return -1;
    }
    const at = this.keys.length;
    this.index.set(key, at);
    this.keys.push(key);
    this.inputs.push(input);
    this.flags.push(flags);
    return at;
  }
}

function flagsOf(node: NodeInput, named: boolean): number {
  let flags = 0;
  for (const role of node.roles) flags |= FLAG_OF_ROLE.get(role) ?? 0;
  if (named) flags |= Flag.friend;
  return flags;
}

/** Parents as the nodes name them, and, where they cannot be found, as their places say. */
function findParents(nodes: Nodes): { parent: number[]; root: number } {
  const parent: number[] = new Array<number>(nodes.keys.length).fill(-1);
  const at = new Map<string, number>();
  let root = -1;
  const real = nodes.keys.length;
  for (let i = 0; i < real; i += 1) {
    const node = nodes.inputs[i]!;
    const place = node.coordinates;
    if (place && place.length <= PLACE_LEN_MAX && !at.has(standInKey(place))) {
      at.set(standInKey(place), i);
    }
    if (node.parent === node.key || (place?.length === 0 && root < 0)) root = i;
  }
  for (let i = 0; i < real; i += 1) {
    const node = nodes.inputs[i]!;
    if (i === root || node.parent === node.key) continue;
    const named = node.parent === null ? undefined : nodes.index.get(node.parent);
    if (named !== undefined) {
      parent[i] = named;
      continue;
    }
    // Upwards along its place, as far as nobody is known to be there.
    const place = node.coordinates;
    if (!place || place.length === 0 || place.length > PLACE_LEN_MAX) continue;
    let child = i;
    for (let length = place.length - 1; length >= 0; length -= 1) {
      const key = standInKey(place.slice(0, length));
      const there = length === 0 && root >= 0 ? root : at.get(key);
      if (there !== undefined) {
        if (there !== child) parent[child] = there;
        break;
      }
      const made = nodes.add(key, null, Flag.standIn);
      if (made < 0) break;
      at.set(key, made);
      parent[made] = -1;
      parent[child] = made;
      if (length === 0) root = made;
      child = made;
    }
  }
  return { parent, root };
}

/** Cuts every circle of parents at the node where it closes. */
function cutCircles(parent: Int32Array): void {
  const seen = new Int32Array(parent.length).fill(-1);
  for (let i = 0; i < parent.length; i += 1) {
    let at = i;
    while (at >= 0 && seen[at] === -1) {
      seen[at] = i;
      const up = parent[at]!;
      if (up >= 0 && seen[up] === i) parent[at] = -1;
      at = parent[at]!;
    }
  }
}

class EdgeList {
  readonly from: number[] = [];
  readonly to: number[] = [];
  readonly kind: number[] = [];
  readonly latency: number[] = [];
  private readonly seen = new Map<number, number>();

  constructor(private readonly nodeCount: number) {}

  add(from: number, to: number, kind: number, latency: number): void {
    if (from === to || this.from.length >= EDGES_MAX) return;
    const low = Math.min(from, to);
    const high = Math.max(from, to);
    const id = (low * this.nodeCount + high) * 8 + kind;
    const there = this.seen.get(id);
    if (there !== undefined) {
      if (Number.isNaN(this.latency[there]!)) this.latency[there] = latency;
      return;
    }
    this.seen.set(id, this.from.length);
    this.from.push(from);
    this.to.push(to);
    this.kind.push(kind);
    this.latency.push(latency);
  }

  finish(): Edges {
    return {
      count: this.from.length,
      from: Uint32Array.from(this.from),
      to: Uint32Array.from(this.to),
      kind: Uint8Array.from(this.kind),
      latency: Float32Array.from(this.latency),
    };
  }
}

/** Neighbours of every node over edges that carry packets, in order of their keys. */
function neighbours(
  keys: readonly string[],
  edges: Edges,
): { start: Uint32Array; near: Uint32Array } {
  const start = new Uint32Array(keys.length + 1);
  const solid = (e: number): boolean => edges.kind[e]! <= Kind.peer;
  for (let e = 0; e < edges.count; e += 1) {
    if (!solid(e)) continue;
    start[edges.from[e]! + 1]! += 1;
    start[edges.to[e]! + 1]! += 1;
  }
  for (let i = 0; i < keys.length; i += 1) start[i + 1]! += start[i]!;
  const near = new Uint32Array(start[keys.length]!);
  const fill = start.slice();
  for (let e = 0; e < edges.count; e += 1) {
    if (!solid(e)) continue;
    const [a, b] = [edges.from[e]!, edges.to[e]!];
    near[fill[a]!++] = b;
    near[fill[b]!++] = a;
  }
  const rank = rankOf(keys);
  for (let i = 0; i < keys.length; i += 1) {
    near.subarray(start[i], start[i + 1]).sort((a, b) => rank[a]! - rank[b]!);
  }
  return { start, near };
}

/** Place of every key among the sorted keys: an order that does not depend on who came first. */
function rankOf(keys: readonly string[]): Uint32Array {
  const order = Uint32Array.from(keys, (_, i) => i);
  order.sort((a, b) => (keys[a]! < keys[b]! ? -1 : keys[a] === keys[b] ? 0 : 1));
  const rank = new Uint32Array(keys.length);
  order.forEach((node, place) => (rank[node] = place));
  return rank;
}

/** Makes the graph of `topology`; `names` are those of friends, by key. */
export function buildGraph(
  topology: TopologyInput,
  names: ReadonlyMap<string, string> = new Map(),
): Graph {
  const nodes = new Nodes();
  for (const node of topology.nodes) {
    if (!KEY.test(node.key)) continue;
    const name = names.get(node.key) ?? node.name ?? null;
    nodes.add(node.key, { ...node, name }, flagsOf(node, name !== null));
  }
  const self = nodes.flags.findIndex((flags) => (flags & Flag.self) !== 0);
  const tree = findParents(nodes);
  const count = nodes.keys.length;
  const parent = Int32Array.from({ length: count }, (_, i) => tree.parent[i] ?? -1);
  cutCircles(parent);
  if (tree.root >= 0) nodes.flags[tree.root]! |= Flag.root;

  const list = new EdgeList(count);
  for (const edge of topology.edges) {
    const kind = KINDS.get(edge.kind);
    const from = nodes.index.get(edge.from);
    const to = nodes.index.get(edge.to);
    if (kind === undefined || from === undefined || to === undefined) continue;
    list.add(from, to, kind, known(edge.latency_ms));
  }
  for (let i = 0; i < count; i += 1) {
    if (parent[i]! >= 0) list.add(i, parent[i]!, Kind.tree, Number.NaN);
  }
  const edges = list.finish();

  const latency = new Float32Array(count).fill(Number.NaN);
  const via = new Int32Array(count).fill(-1);
  for (let i = 0; i < count; i += 1) {
    const input = nodes.inputs[i];
    latency[i] = known(input?.latency_ms);
    if (input?.via) via[i] = nodes.index.get(input.via) ?? -1;
  }
  for (let e = 0; e < edges.count; e += 1) {
    if (edges.kind[e]! < Kind.peer) continue;
    const other = edges.from[e] === self ? edges.to[e]! : edges.from[e]!;
    if (other !== self && Number.isNaN(latency[other]!)) latency[other] = edges.latency[e]!;
  }

  return {
    revision: topology.revision,
    count,
    omitted: nodes.omitted,
    keys: nodes.keys,
    index: nodes.index,
    nodes: nodes.inputs,
    flags: Uint16Array.from(nodes.flags),
    parent,
    via,
    latency,
    edges,
    ...neighbours(nodes.keys, edges),
    self,
    root: tree.root,
  };
}

/** A graph of nobody. */
export const EMPTY_GRAPH: Graph = buildGraph({ revision: 0, nodes: [], edges: [] });
