// Which peers a link may name: only those that anybody can dial. The service checks again; here the
// person is not offered what it would refuse.

import type { Status } from '$lib/api/protocol';
import { peerUri } from '$lib/format';

/** `LINK_PEERS_MAX` of the service. */
export const PEERS_MAX = 3;

const TRANSPORTS = ['tcp', 'tls', 'quic', 'ws', 'wss'];
/** Ends of names that mean something else in every local network. */
const LOCAL =
  /(^|\.)(localhost|local|localdomain|internal|intranet|lan|home|corp|private|home\.arpa|invalid)$/;

export function isPublic(uri: string): boolean {
  const { transport, host, port } = peerUri(uri);
  if (!TRANSPORTS.includes(transport.toLowerCase()) || port === '') return false;
  if (host.startsWith('[')) return isGlobal6(host.slice(1, -1).toLowerCase());
  if (/^[0-9.]+$/.test(host)) return isGlobal4(host.split('.').map(Number));
  return host.includes('.') && !LOCAL.test(host.toLowerCase());
}

function isGlobal4([a = 0, b = 0, c = 0]: number[]): boolean {
  if (a === 0 || a === 10 || a === 127 || a >= 224) return false;
  if (a === 100 && b >= 64 && b < 128) return false;
  if (a === 172 && b >= 16 && b < 32) return false;
  if (a === 198 && (b === 18 || b === 19)) return false;
  if ((a === 192 && b === 168) || (a === 169 && b === 254)) return false;
  // For examples in texts.
  const shown = `${a}.${b}.${c}`;
  return !['192.0.0', '192.0.2', '198.51.100', '203.0.113'].includes(shown);
}

/** Global unicast, without what is for examples in texts. */
function isGlobal6(address: string): boolean {
  return /^[23][0-9a-f]{3}:/.test(address) && !/^(2001:0?db8:|3fff:)/.test(address);
}

/** What can be chosen from: what the service proposed, then other peers that are up. */
export function candidates(proposed: readonly string[], status: Status | null): string[] {
  const up = (status?.peers ?? []).filter((peer) => peer.up && peer.direction === 'out');
  const uris = up.map((peer) => peer.uri).filter(isPublic);
  // The service may add a pinned key to what is otherwise the same.
  const bare = new Set(proposed.map((uri) => uri.split('?')[0]));
  return [...proposed, ...new Set(uris.filter((uri) => !bare.has(uri)))];
}
