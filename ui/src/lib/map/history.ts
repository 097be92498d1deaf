// What the topology was in the last ten minutes: the oldest state whole, then what changed from one
// to the next. Bounded in time and in the number of changes; the oldest go first.

import type { EdgeInput, NodeInput, TopologyInput } from './model';

export const HISTORY_MS = 10 * 60_000;
/** Changes closer than this become one. */
const GAP_MS = 2_000;
/** Most nodes and edges in all changes together; about 40 MB at the very worst. */
const CHANGES_MAX = 120_000;

interface Change {
  time: number;
  revision: number;
  nodes: NodeInput[];
  goneNodes: string[];
  edges: EdgeInput[];
  goneEdges: string[];
}

interface State {
  nodes: Map<string, NodeInput>;
  edges: Map<string, EdgeInput>;
}

function edgeId(edge: EdgeInput): string {
  return `${edge.kind} ${edge.from} ${edge.to}`;
}

function stateOf(topology: TopologyInput): State {
  return {
    nodes: new Map(topology.nodes.map((node) => [node.key, node])),
    edges: new Map(topology.edges.map((edge) => [edgeId(edge), edge])),
  };
}

/** Whether two records, or lists, hold the same. */
function same(a: object, b: object): boolean {
  if (a === b) return true;
  const [left, right] = [Object.entries(a), b as Record<string, unknown>];
  if (left.length !== Object.keys(right).length) return false;
  return left.every(([key, one]: [string, unknown]) => {
    const other = right[key];
    const nested = typeof one === 'object' && one !== null;
    if (!nested || typeof other !== 'object' || other === null) return one === other;
    return same(one, other);
  });
}

function difference<T extends object>(
  before: Map<string, T>,
  after: Map<string, T>,
): { changed: T[]; gone: string[] } {
  const changed: T[] = [];
  for (const [id, value] of after) {
    const old = before.get(id);
    if (old === undefined || !same(old, value)) changed.push(value);
  }
  const gone = [...before.keys()].filter((id) => !after.has(id));
  return { changed, gone };
}

function apply(state: State, change: Change): void {
  for (const key of change.goneNodes) state.nodes.delete(key);
  for (const node of change.nodes) state.nodes.set(node.key, node);
  for (const id of change.goneEdges) state.edges.delete(id);
  for (const edge of change.edges) state.edges.set(edgeId(edge), edge);
}

function sizeOf(change: Change): number {
  const { nodes, goneNodes, edges, goneEdges } = change;
  return nodes.length + goneNodes.length + edges.length + goneEdges.length;
}

export class TopologyHistory {
  private base: (State & { time: number; revision: number }) | null = null;
  private last: State | null = null;
  private changes: Change[] = [];
  private waiting: { time: number; topology: TopologyInput } | null = null;
  private size = 0;

  /** Takes in what the topology is at `time`, in milliseconds; times only grow. */
  record(time: number, topology: TopologyInput): void {
    const newest = this.changes.at(-1)?.time ?? this.base?.time;
    if (newest !== undefined && time < newest) this.clear();
    if (!this.base || newest === undefined) {
      this.base = { ...stateOf(topology), time, revision: topology.revision };
      this.last = stateOf(topology);
      return;
    }
    if (time - newest < GAP_MS) {
      this.waiting = { time, topology };
      return;
    }
    if (this.waiting) this.append(this.waiting.time, this.waiting.topology);
    this.waiting = null;
    this.append(time, topology);
    this.forget(time);
  }

  /** Forgets everything: another service, another network. */
  clear(): void {
    this.base = null;
    this.last = null;
    this.changes = [];
    this.waiting = null;
    this.size = 0;
  }

  /** When something changed, oldest first. */
  times(): number[] {
    if (!this.base) return [];
    const times = [this.base.time, ...this.changes.map((change) => change.time)];
    if (this.waiting) times.push(this.waiting.time);
    return times;
  }

  /** The topology as it was at `time`, or `null` while nothing is recorded. */
  at(time: number): TopologyInput | null {
    if (!this.base) return null;
    if (this.waiting && time >= this.waiting.time) return this.waiting.topology;
    const state = { nodes: new Map(this.base.nodes), edges: new Map(this.base.edges) };
    let { revision } = this.base;
    for (const change of this.changes) {
      if (change.time > time) break;
      apply(state, change);
      ({ revision } = change);
    }
    return { revision, nodes: [...state.nodes.values()], edges: [...state.edges.values()] };
  }

  private append(time: number, topology: TopologyInput): void {
    const next = stateOf(topology);
    const nodes = difference(this.last?.nodes ?? new Map<string, NodeInput>(), next.nodes);
    const edges = difference(this.last?.edges ?? new Map<string, EdgeInput>(), next.edges);
    const change: Change = {
      time,
      revision: topology.revision,
      nodes: nodes.changed,
      goneNodes: nodes.gone,
      edges: edges.changed,
      goneEdges: edges.gone,
    };
    this.last = next;
    if (sizeOf(change) === 0) return;
    this.changes.push(change);
    this.size += sizeOf(change);
  }

  private forget(now: number): void {
    for (let first = this.changes[0]; first && this.base; first = this.changes[0]) {
      // The base stays until the change after it is too old too, so that the slider has no hole.
      const old = first.time <= now - HISTORY_MS;
      if (!old && this.size <= CHANGES_MAX) return;
      apply(this.base, first);
      Object.assign(this.base, { time: first.time, revision: first.revision });
      this.size -= sizeOf(first);
      this.changes.shift();
    }
  }
}
