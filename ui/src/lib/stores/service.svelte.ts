// What the service last said, and how old that is. Snapshot and events come in, values go out; the
// page never guesses.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import type { Status, Topic, Traffic } from '../api/protocol';
import type { Connection, Step } from '../api/shell';
import { HAPPENINGS_MAX, happenings, type Happening } from './lately';
import { isReady, phaseOf, toneOf, type Phase } from './phase';

/** One second of traffic, in bytes a second. */
export interface Rates {
  time: number;
  rx: number;
  tx: number;
}

/** Seconds of traffic that are kept: what the chart on Home shows. */
export const RATES_KEPT = 60;
/** Round trips that are kept for each link: two minutes. */
export const LATENCIES_KEPT = 120;

export class Service {
  connection = $state.raw<Connection>({ state: 'connecting', since: Date.now() / 1000 });
  /** The last state that came; stays when the service goes away, see `connection`. */
  status = $state.raw<Status | null>(null);
  rates = $state.raw<Rates[]>([]);
  lately = $state.raw<Happening[]>([]);
  /** What the person asked for and has not happened yet. */
  wish = $state<'up' | 'down' | Step | null>(null);
  failure = $state.raw<Failure | null>(null);

  /** Milliseconds of the page's clock at which `status.time` was true. */
  #statusAt = 0;
  #now = $state(0);
  /** Whether the first state is here, which updates build on. */
  #watching = false;
  readonly #latencies = new Map<number, number[]>();
  readonly #wanted = new Map<Topic, number>([['traffic', 1]]);

  readonly phase: Phase = $derived(phaseOf(this.connection));
  readonly tone = $derived(toneOf(this.phase));
  readonly ready = $derived(isReady(this.phase));
  /** Whether anything can be changed: a service that answers lets the account do so. */
  readonly mayChange = $derived(this.ready);
  /** The service's time now, in seconds; ages are counted from it. */
  readonly time = $derived(
    this.status
      ? this.status.time + Math.max(0, (this.#now - this.#statusAt) / 1000)
      : this.#now / 1000,
  );
  readonly peersUp = $derived(this.status?.peers.filter((peer) => peer.up) ?? []);

  constructor(readonly backend: Backend) {}

  /** Listens until the returned function is called. */
  start(): () => void {
    const { backend } = this;
    const stops = [
      backend.on('connection', (connection) => this.#connected(connection)),
      backend.on('traffic', (traffic) => this.#moved(traffic)),
    ];
    const clock = setInterval(() => this.#tick(), 1000);
    this.#tick();
    void backend.connection().then((connection) => {
      this.#connected(connection);
      this.#watching = true;
      return backend.watch([...this.#wanted.keys()]);
    });
    return () => {
      clearInterval(clock);
      for (const stop of stops) stop();
    };
  }

  /** Asks for updates of `topic` until the returned function is called. */
  want(topic: Topic): () => void {
    this.#count(topic, 1);
    return () => this.#count(topic, -1);
  }

  /** Switches the node on or off, or carries a step of the system out. */
  async turn(wish: 'up' | 'down' | Step): Promise<void> {
    if (this.wish) return;
    this.wish = wish;
    this.failure = null;
    try {
      if (wish === 'up' || wish === 'down') {
        const status = await this.backend.ask({ type: wish });
        this.#said(status);
      } else {
        await this.backend.supervise(wish);
      }
    } catch (error) {
      if (isFailure(error) && error.code !== 'cancelled') this.failure = error;
    } finally {
      this.wish = null;
    }
  }

  /** The latest round trips of a link in milliseconds, oldest first. Read it beside `status`. */
  latencies(link: number): readonly number[] {
    return this.#latencies.get(link) ?? [];
  }

  #count(topic: Topic, more: number) {
    const before = this.#wanted.get(topic) ?? 0;
    const after = before + more;
    if (after > 0) this.#wanted.set(topic, after);
    else this.#wanted.delete(topic);
    if (!this.#watching) return;
    if (before === 0 || after === 0) void this.backend.watch([...this.#wanted.keys()]);
  }

  #tick() {
    this.#now = Date.now();
  }

  #connected(connection: Connection) {
    this.connection = connection;
    if (connection.state === 'ready') this.#said(connection.status);
    else this.rates = [];
  }

  #said(status: Status) {
    const before = this.status;
    if (before && before.key === status.key && status.time >= before.time) {
      const found = happenings(before, status);
      if (found.length > 0) this.lately = [...found, ...this.lately].slice(0, HAPPENINGS_MAX);
    }
    this.#take(status);
    if (this.connection.state === 'ready') this.connection = { ...this.connection, status };
  }

  #moved(traffic: Traffic) {
    if (!this.status) return;
    const links = new Map(traffic.links.map((link) => [link.link, link]));
    const { links: moved, transit_bytes, transit_rate, ...moving } = traffic;
    const transit = { ...this.status.transit, bytes: transit_bytes, rate: transit_rate };
    const peers = this.status.peers.map((peer) => ({ ...peer, ...links.get(peer.link) }));
    for (const { link, latency_ms } of moved) {
      if (latency_ms === null) continue;
      const kept = this.#latencies.get(link) ?? [];
      kept.push(latency_ms);
      if (kept.length > LATENCIES_KEPT) kept.shift();
      this.#latencies.set(link, kept);
    }
    const rates = { time: traffic.time, rx: traffic.rx_rate ?? 0, tx: traffic.tx_rate ?? 0 };
    this.rates = [...this.rates.slice(1 - RATES_KEPT), rates];
    this.#take({ ...this.status, ...moving, transit, peers });
  }

  #take(status: Status) {
    this.status = status;
    this.#now = this.#statusAt = Date.now();
    const known = new Set(status.peers.map((peer) => peer.link));
    for (const link of this.#latencies.keys()) if (!known.has(link)) this.#latencies.delete(link);
  }
}
