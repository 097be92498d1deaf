// Made-up networks for tests, measurements and pictures: the same number gives the same network.

import type { EdgeInput, NodeInput, TopologyInput } from '../model';

/** Numbers from 0 to 1 in an order that depends on `seed` alone. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Key of the `n`th node. */
export function keyFor(n: number): string {
  const random = randomFrom(n + 1);
  let key = '';
  while (key.length < 64) {
    key += Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0');
  }
  return key;
}

/** Some address; it need not follow from the key here. */
export function addressFor(n: number): string {
  const key = keyFor(n);
  const groups = [1, 2, 3, 4, 5, 6, 7].map((g) => key.slice(g * 4, g * 4 + 4).replace(/^0+/, '0'));
  return ['20' + (n % 8).toString(16), ...groups.map((g) => g.replace(/^0+(?=.)/, ''))].join(':');
}

const NAMES = ['Ada', 'Grace', 'Linus', 'Radia', 'Nadia', 'Vint', 'Barbara', 'Edsger'];

/** What this node might know of a network of `count` nodes, itself included. */
export function skyOf(count: number, seed = 7): TopologyInput {
  const random = randomFrom(seed);
  const nodes: NodeInput[] = [];
  const parents: number[] = [];
  const ports: number[] = [];
  const nextPort: number[] = [];
  const edges: EdgeInput[] = [];
  for (let n = 0; n < count; n += 1) {
    // Node 0 is the root. Most choose a parent among the older, some of whom are hubs.
    const pick = Math.pow(random(), 2.2);
    const parent = n === 0 ? 0 : Math.min(n - 1, Math.floor(pick * Math.min(n, 24 + n * 0.45)));
    parents.push(parent);
    nextPort.push(1);
    ports.push(n === 0 ? 0 : (nextPort[parent] = (nextPort[parent] ?? 1) + 1));
    const above = nodes[parent]?.coordinates ?? [];
    nodes.push({
      key: keyFor(n),
      address: addressFor(n),
      roles: [],
      parent: keyFor(parent),
      port: ports[n] ?? null,
      coordinates: n === 0 ? [] : [...above, ports[n] ?? 0],
      name: null,
      latency_ms: null,
    });
  }
  const self = Math.max(0, count - 1 - Math.floor(count * 0.1));
  const roles = nodes.map(() => new Set<string>());
  const give = (n: number, role: string): unknown => roles[n]?.add(role);
  give(self, 'self');
  for (let at = self; at !== 0; at = parents[at] ?? 0) give(parents[at] ?? 0, 'ancestor');
  const peers = new Set<number>(self === 0 ? [] : [parents[self] ?? 0]);
  const wanted = Math.min(count - 1, count > 20 ? 4 : 2);
  while (peers.size < wanted) {
    const peer = Math.floor(random() * Math.min(count, 400));
    if (peer !== self) peers.add(peer);
  }
  for (const peer of peers) {
    give(peer, 'peer');
    const latency = 8 + random() * 240;
    edges.push({ from: keyFor(self), to: keyFor(peer), kind: 'peer', latency_ms: latency });
  }
  for (let n = 0; n < count; n += 1) if (n !== self && !peers.has(n)) give(n, 'path');
  const sessions = Math.min(6, Math.floor(count / 8));
  for (let s = 0; s < sessions; s += 1) {
    const n = Math.floor(random() * count);
    const node = nodes[n];
    if (!node || n === self) continue;
    give(n, 'session');
    Object.assign(node, { name: s < 4 ? (NAMES[s] ?? null) : null, latency_ms: 30 + s * 40 });
    Object.assign(node, { rx_bytes: 10_000 * (s + 1), tx_bytes: 5_000 });
    edges.push({ from: keyFor(self), to: keyFor(n), kind: 'session', latency_ms: 30 + s * 40 });
  }
  for (let n = 1; n < count; n += 1) {
    edges.push({ from: keyFor(n), to: keyFor(parents[n] ?? 0), kind: 'tree', latency_ms: null });
    // Some nodes were asked whom they are linked with.
    if (n % 50 === 0) {
      const other = Math.floor(random() * count);
      edges.push({ from: keyFor(n), to: keyFor(other), kind: 'link', latency_ms: null });
      give(n, 'explored');
    }
  }
  nodes.forEach((node, n) => (node.roles = [...(roles[n] ?? [])]));
  const mine = nodes.splice(self, 1);
  return { revision: seed, nodes: [...mine, ...nodes], edges };
}
