// What the map shows and what was chosen on it. One for the app: it outlives the view, so that
// coming back shows what was left.

import type { PathReport, Status } from '$lib/api/protocol';
import { useApp, type App } from '$lib/stores/app.svelte';
import { Activity, busyOf } from './activity';
import { TopologyHistory } from './history';
import type { LayoutName } from './layout';
import { buildGraph, EMPTY_GRAPH, isKey, type Graph, type TopologyInput } from './model';
import { routeFrom, routeTo, type HopInput } from './route';
import { buildScene, sceneNode, type Scene } from './scene';
import { span, type Spanning } from './span';

/** What the service knows of a way; not every service tells the hops. */
type Report = PathReport & { hops?: readonly HopInput[] };

/** Nodes beyond the budget that stay in sight because somebody looked for them. */
const KEPT_MAX = 32;

export class Sky {
  layout = $state<LayoutName>('radial');
  selected = $state<string | null>(null);
  /** The moment shown, in milliseconds of the service's clock; `null` for now. */
  moment = $state<number | null>(null);
  opened = $state.raw<ReadonlySet<string>>(new Set());
  /** What the service knows of the way to the chosen node. */
  report = $state.raw<PathReport | null>(null);
  asking = $state(false);
  /** Moments at which something changed, oldest first. */
  times = $state.raw<readonly number[]>([]);

  #kept = $state.raw<readonly string[]>([]);
  #rates = $state.raw<ReadonlyMap<string, number>>(new Map());
  readonly #history = new TopologyHistory();
  readonly #activity = new Activity();
  readonly #app: App;
  /** Whose sky it is; another identity has another. */
  #owner: string | null = null;

  readonly #names: ReadonlyMap<string, string>;
  readonly #shown: TopologyInput | null;
  readonly graph: Graph;
  readonly scene: Scene;
  /** The chosen node, -1 when there is none or it is not in the picture. */
  readonly node: number;
  /** Nodes on the way to the chosen one, this node first; `null` while unknown. */
  readonly route: readonly number[] | null;
  readonly routeKeys: readonly string[];
  readonly #steps: Spanning | null;
  readonly busy: ReadonlyMap<string, number>;

  constructor(app: App) {
    this.#app = app;
    const { service, friends, topology } = app;
    this.#names = $derived(new Map(friends.list?.map(({ key, name }) => [key, name])));
    this.#shown = $derived.by(() => {
      if (this.moment !== null) return this.#history.at(this.moment);
      const { snapshot } = topology;
      if (snapshot && snapshot.nodes.length > 0) return snapshot;
      return service.status ? alone(service.status) : null;
    });
    this.graph = $derived(this.#shown ? buildGraph(this.#shown, this.#names) : EMPTY_GRAPH);
    this.scene = $derived(
      buildScene(this.graph, { layout: this.layout, opened: this.opened, keep: this.#kept }),
    );
    this.node = $derived(this.selected === null ? -1 : (this.graph.index.get(this.selected) ?? -1));
    this.route = $derived.by(() => {
      if (this.node < 0 || this.node === this.graph.self) return null;
      const { hops, next_hops } = this.#reported ?? {};
      const told = hops ? routeFrom(this.graph, hops) : null;
      if (told?.at(-1) === this.node) return told;
      const first = next_hops?.[0]?.key;
      const via = first === undefined ? undefined : this.graph.index.get(first);
      return routeTo(this.graph, this.node, via);
    });
    this.routeKeys = $derived(this.route?.map((node) => this.graph.keys[node] ?? '') ?? []);
    this.#steps = $derived(this.graph.self < 0 ? null : span(this.graph, this.graph.self));
    this.busy = $derived(busyOf(service.peersUp, this.moment === null ? this.#rates : new Map()));
  }

  get #reported(): Report | null {
    return this.report?.key === this.selected ? this.report : null;
  }

  /** Follows the topology until the returned function is called. */
  start(): () => void {
    const { topology, service } = this.#app;
    const stop = topology.start();
    const unfollow = $effect.root(() => {
      $effect(() => {
        const { snapshot } = topology;
        if (snapshot) this.#record(snapshot, service.status);
      });
    });
    return () => {
      stop();
      unfollow();
    };
  }

  /** Chooses a node, and sees to it that it is shown. */
  select(key: string | null): void {
    this.selected = key;
    this.report = null;
    if (key === null) return;
    if (sceneNode(this.scene, key) < 0) this.#kept = [...this.#kept, key].slice(-KEPT_MAX);
  }

  open(key: string): void {
    this.opened = new Set([...this.opened, key]);
  }

  /** Hops to a node, as far as is known; `null` where no way is. */
  hopsTo(node: number): number | null {
    const steps = this.#steps;
    if (!steps) return null;
    for (let at = node; at >= 0; at = steps.up[at] ?? -1) if (steps.loose[at]) return null;
    return steps.depth[node] ?? null;
  }

  /** Asks the service for the way to the chosen node; looks it up in the network if need be. */
  async askForWay(): Promise<void> {
    const key = this.selected;
    if (key === null || !isKey(key) || this.node === this.graph.self) return;
    if (!this.#app.service.ready) return;
    this.asking = true;
    try {
      const report = await this.#app.backend.ask({ type: 'path', target: key });
      if (this.selected === key) this.report = report;
    } catch {
      // Nothing more is known than what the map shows; it says so itself.
    } finally {
      if (this.selected === key) this.asking = false;
    }
  }

  #record(topology: TopologyInput, status: Status | null): void {
    if (!status) return;
    if (status.key !== this.#owner) {
      this.#history.clear();
      this.#owner = status.key;
    }
    const time = status.time * 1_000;
    this.#history.record(time, topology);
    this.times = this.#history.times();
    this.#rates = new Map(this.#activity.sessions(time, topology));
  }
}

/** This node and nobody else. */
function alone(status: Status): TopologyInput {
  const { key, address, coordinates } = status;
  const self = { key, address, coordinates, roles: ['self'], parent: null };
  return { revision: 0, nodes: [self], edges: [] };
}

const skies = new WeakMap<App, Sky>();

/** The sky of the app that the component is in. */
export function useSky(): Sky {
  const app = useApp();
  let sky = skies.get(app);
  if (!sky) {
    // A root of its own: what it derives must not end with the component that came first.
    $effect.root(() => {
      sky = new Sky(app);
      skies.set(app, sky);
    });
  }
  return sky as Sky;
}
