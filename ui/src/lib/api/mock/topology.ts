// A tree with a few cross links, as much of it as a node could know.

import type { Edge, Node, Status, Topology } from '../protocol';
import { addressOf } from './address';
import { FRIENDS } from './data';
import { hex, seeded } from './random';

export function topology(status: Status, nodes: number): Topology {
  const random = seeded(11);
  const all = new Map<string, Node>();
  const edges: Edge[] = [];
  const add = (key: string, parent: string | null, role: Node['roles'][number]): Node => {
    const above = parent === null ? null : all.get(parent);
    const port = above ? (ports.get(above.key) ?? 0) + 1 : null;
    if (above && port !== null) ports.set(above.key, port);
    const coordinates = above ? [...(above.coordinates ?? []), port ?? 1] : [];
    const node: Node = {
      key,
      address: addressOf(key),
      roles: [role],
      parent: parent ?? key,
      port,
      coordinates,
      sequence: status.time,
      name: FRIENDS.find((friend) => friend.key === key)?.name ?? null,
      direct: role === 'peer',
      latency_ms: status.peers.find((peer) => peer.key === key)?.latency_ms ?? null,
      rx_bytes: null,
      tx_bytes: null,
      via: null,
    };
    all.set(key, node);
    if (parent !== null) edges.push({ from: key, to: parent, kind: 'tree', latency_ms: null });
    return node;
  };
  const ports = new Map<string, number>();
  if (status.root === null || status.root === status.key) {
    add(status.key, null, 'self');
    return {
      revision: status.topology_revision,
      page: 0,
      pages: 1,
      nodes: [...all.values()],
      edges,
    };
  }
  add(status.root, null, 'ancestor');
  const between = hex(random, 64);
  add(between, status.root, 'ancestor');
  const up = status.peers.filter((peer) => peer.up && peer.key !== null);
  for (const peer of up) {
    const key = peer.key ?? '';
    if (!all.has(key)) add(key, peer.key === status.parent ? between : pickKey(), 'peer');
  }
  add(status.key, status.parent ?? between, 'self');
  for (const peer of up) {
    edges.push({ from: status.key, to: peer.key ?? '', kind: 'peer', latency_ms: peer.latency_ms });
  }
  function pickKey(): string {
    const keys = [...all.keys()].filter((key) => key !== status.key);
    // The square makes the early ones likelier: hubs, as in the real network.
    return keys[Math.floor(random() ** 2 * keys.length)] ?? between;
  }
  const friends = FRIENDS.filter((friend) => friend.online);
  while (all.size < nodes) {
    const friend = friends.find(({ key }) => !all.has(key));
    const node = add(friend?.key ?? hex(random, 64), pickKey(), 'path');
    if (friend) {
      node.roles.push('session');
      edges.push({
        from: status.key,
        to: node.key,
        kind: 'session',
        latency_ms: 40 + random() * 60,
      });
    }
    edges.push({ from: status.key, to: node.key, kind: 'path', latency_ms: null });
  }
  const others = [...all.values()].filter((node) => node.key !== status.key);
  const self = all.get(status.key);
  return {
    revision: status.topology_revision,
    page: 0,
    pages: 1,
    nodes: self ? [self, ...others] : others,
    edges,
  };
}

/** Whom a node names when it is asked: six that nobody else knows, the same each time. */
export function neighboursOf(key: string): string[] {
  const random = seeded(parseInt(key.slice(-7), 16));
  return Array.from({ length: 6 }, () => hex(random, 64));
}

/** A topology with what was learnt from nodes that were asked. */
export function withExplored(
  whole: Topology,
  explored: ReadonlyMap<string, readonly string[]>,
): Topology {
  const nodes = new Map(whole.nodes.map((node) => [node.key, node]));
  const edges = [...whole.edges];
  for (const [from, peers] of explored) {
    for (const key of [from, ...peers]) {
      const known = nodes.get(key);
      nodes.set(key, {
        address: addressOf(key),
        parent: null,
        port: null,
        coordinates: null,
        sequence: null,
        name: null,
        direct: false,
        latency_ms: null,
        rx_bytes: null,
        tx_bytes: null,
        via: null,
        ...known,
        key,
        roles: [...new Set([...(known?.roles ?? []), 'explored' as const])],
      });
    }
    for (const to of peers) edges.push({ from, to, kind: 'link', latency_ms: null });
  }
  return { ...whole, nodes: [...nodes.values()], edges };
}
