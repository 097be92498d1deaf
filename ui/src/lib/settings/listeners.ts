// Where this computer listens: what is configured and what the service says of it, in one list.

import type { ListenerStatus } from '$lib/api/protocol';

export interface Listener {
  uri: string;
  /** Whether it stands in the configuration, and so can be taken away. */
  configured: boolean;
  /** How it is; `null` while the node is off. */
  status: ListenerStatus | null;
}

export function listeners(
  configured: readonly string[],
  running: readonly ListenerStatus[],
): Listener[] {
  const rest = [...running];
  const listed = configured.map((uri): Listener => {
    const at = rest.findIndex((one) => isSame(uri, one.uri));
    const [status = null] = at < 0 ? [] : rest.splice(at, 1);
    return { uri, configured: true, status };
  });
  const others = rest.map((status) => ({ uri: status.uri, configured: false, status }));
  return [...listed, ...others];
}

/** The service names the port that the system chose where the configuration says 0. */
function isSame(configured: string, running: string): boolean {
  if (configured === running) return true;
  return configured.endsWith(':0') && running.replace(/:\d+$/, ':0') === configured;
}

/** What was typed as an address to listen on: a bare port means every address, over TLS. */
export function listenUri(typed: string): string {
  const text = typed.trim();
  if (/^\d{1,5}$/.test(text)) return `tls://[::]:${text}`;
  return text.includes('://') ? text : `tls://${text}`;
}
