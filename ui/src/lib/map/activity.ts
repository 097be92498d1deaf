// How busy links and sessions are. A session says how many bytes it has carried; the rate follows
// from two looks. A link says its rate itself.

import type { TopologyInput } from './model';

/** What the map needs to know of a link of this node. */
export interface LinkInput {
  key: string | null;
  up: boolean;
  rx_rate: number | null;
  tx_rate: number | null;
}

const IDLE_RATE = 1_000;
const BUSY_RATE = 20_000_000;

/** 0 for a link that carries next to nothing, 1 from 20 MB/s on, even steps by factors between. */
export function busyShare(bytesPerSecond: number): number {
  if (!(bytesPerSecond > IDLE_RATE)) return 0;
  return Math.min(1, Math.log(bytesPerSecond / IDLE_RATE) / Math.log(BUSY_RATE / IDLE_RATE));
}

export class Activity {
  private last: { time: number; bytes: Map<string, number> } | null = null;
  private rates = new Map<string, number>();

  /** Bytes per second of each session since the last look; `time` is in milliseconds. */
  sessions(time: number, topology: TopologyInput): ReadonlyMap<string, number> {
    const bytes = new Map<string, number>();
    for (const node of topology.nodes) {
      if (node.rx_bytes == null && node.tx_bytes == null) continue;
      bytes.set(node.key, (node.rx_bytes ?? 0) + (node.tx_bytes ?? 0));
    }
    const { last } = this;
    // Two looks within a moment say nothing.
    if (last && time - last.time < 500) return this.rates;
    this.rates = new Map();
    if (last) {
      for (const [key, now] of bytes) {
        const grown = now - (last.bytes.get(key) ?? now);
        if (grown > 0) this.rates.set(key, (grown * 1_000) / (time - last.time));
      }
    }
    this.last = { time, bytes };
    return this.rates;
  }
}

/** How busy whatever leads directly to a node is, 0 to 1, by key. */
export function busyOf(
  links: readonly LinkInput[],
  sessions: ReadonlyMap<string, number>,
): Map<string, number> {
  const rates = new Map(sessions);
  for (const link of links) {
    if (link.key === null || !link.up) continue;
    const rate = (link.rx_rate ?? 0) + (link.tx_rate ?? 0);
    rates.set(link.key, Math.max(rate, rates.get(link.key) ?? 0));
  }
  const busy = new Map<string, number>();
  for (const [key, rate] of rates) {
    const share = busyShare(rate);
    if (share > 0) busy.set(key, share);
  }
  return busy;
}
