// A link as a row of the table: what it is called, how it is, and how rows are sorted.

import type { PeerStatus, State } from '../api/protocol';
import { peerUri } from '../format';
import { nameOf } from '../stores/lately';

/** How a link is, in one word. `off`: the node itself is switched off. */
export type PeerState = 'up' | 'suspect' | 'paused' | 'waiting' | 'dialing' | 'off';
export type Tone = 'off' | 'busy' | 'ok' | 'warn';

export interface PeerRow {
  peer: PeerStatus;
  state: PeerState;
  /** The friend's name, or what else the peer is called. */
  name: string;
  friend: string | null;
  host: string;
  port: string;
  /** The proxy before it. */
  via: string | null;
  transport: string;
  /** As it is written in the person's language; `null` when the public list does not have it. */
  country: string | null;
}

export function peerState(peer: PeerStatus, node: State): PeerState {
  if (peer.paused) return 'paused';
  if (peer.up) return peer.suspect ? 'suspect' : 'up';
  if (node === 'down') return 'off';
  return peer.reconnect_in_s === null ? 'dialing' : 'waiting';
}

export const TONES: Record<PeerState, Tone> = {
  up: 'ok',
  suspect: 'warn',
  waiting: 'warn',
  dialing: 'busy',
  paused: 'off',
  off: 'off',
};

/** Failures that last until somebody changes a setting, on either side; see docs/ipc.md. */
const LASTING = new Set([
  'no_suitable_address',
  'interface_unusable',
  'zone_required',
  'not_this_protocol',
  'incompatible_version',
  'password_mismatch',
  'unusable_password',
  'pinned_key_mismatch',
  'key_not_allowed',
  'connected_to_self',
]);

export function isLasting(code: string): boolean {
  return LASTING.has(code);
}

/** Whether the person can remove or pause a link: those that somebody else made are not in a list. */
export function isOwn(peer: PeerStatus): boolean {
  return peer.source !== 'inbound' && peer.source !== 'lan';
}

export function peerRow(
  peer: PeerStatus,
  node: State,
  names: { friend: string | null; country: string | null },
): PeerRow {
  const state = peerState(peer, node);
  return { peer, state, name: names.friend ?? nameOf(peer), ...peerUri(peer.uri), ...names };
}

export const COLUMNS = [
  'name',
  'country',
  'link',
  'direction',
  'state',
  'latency',
  'rate',
  'total',
  'uptime',
] as const;
export type Column = (typeof COLUMNS)[number];
export interface Order {
  column: Column;
  descending: boolean;
}

/** The columns there is room for, in `rem` of width. The rest is in the sheet of a peer. */
export function columnsFor(width_rem: number): Column[] {
  if (width_rem < 30) return ['name', 'latency', 'rate'];
  if (width_rem < 42) return ['name', 'state', 'link', 'latency', 'rate'];
  if (width_rem < 62) return ['name', 'state', 'link', 'latency', 'rate', 'total', 'uptime'];
  return [...COLUMNS];
}

/** Columns in which one wants to see the most first. */
export function startsDescending(column: Column): boolean {
  return column === 'rate' || column === 'total' || column === 'uptime';
}

const STATES: PeerState[] = ['up', 'suspect', 'dialing', 'waiting', 'paused', 'off'];

function valueOf(row: PeerRow, column: Column): string | number | null {
  const { peer } = row;
  switch (column) {
    case 'name':
      return row.name;
    case 'country':
      return row.country;
    case 'link':
      return row.transport;
    case 'direction':
      return peer.direction;
    case 'state':
      return STATES.indexOf(row.state);
    case 'latency':
      return peer.latency_ms;
    case 'rate':
      return peer.rx_rate === null ? null : peer.rx_rate + (peer.tx_rate ?? 0);
    case 'total':
      return peer.rx_bytes + peer.tx_bytes;
    case 'uptime':
      return peer.uptime_s;
  }
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b));
}

/** Sorted rows. What is unknown comes last either way, and equal rows keep the order of links. */
export function sorted(rows: readonly PeerRow[], { column, descending }: Order): PeerRow[] {
  return rows
    .map((row) => ({ row, value: valueOf(row, column) }))
    .sort((a, b) => {
      const later = a.row.peer.link - b.row.peer.link;
      if (a.value === null || b.value === null) {
        return Number(a.value === null) - Number(b.value === null) || later;
      }
      return (descending ? compare(b.value, a.value) : compare(a.value, b.value)) || later;
    })
    .map(({ row }) => row);
}
