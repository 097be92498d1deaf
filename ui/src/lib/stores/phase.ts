// What Home, the sidebar and the tray say: the connection to the service and the service's own
// word, as one value. A pure function, so that every phase has its test.

import type { Connection } from '../api/shell';

export type Phase =
  | 'loading'
  | 'not_installed'
  | 'stopped'
  | 'no_permission'
  | 'version_mismatch'
  | 'untrusted'
  | 'unreachable'
  | 'down'
  | 'connecting'
  | 'connected'
  | 'degraded'
  | 'offline';

export type Tone = 'off' | 'busy' | 'ok' | 'warn' | 'bad';

export function phaseOf(connection: Connection): Phase {
  if (connection.state === 'connecting') return 'loading';
  return connection.state === 'ready' ? connection.status.state : connection.state;
}

export function toneOf(phase: Phase): Tone {
  switch (phase) {
    case 'connected':
      return 'ok';
    case 'degraded':
      return 'warn';
    case 'loading':
    case 'connecting':
      return 'busy';
    case 'down':
    case 'stopped':
      return 'off';
    case 'not_installed':
    case 'no_permission':
    case 'version_mismatch':
    case 'untrusted':
    case 'unreachable':
    case 'offline':
      return 'bad';
  }
}

/** Whether the person wants the node to be on, as far as is known. */
export function isWanted(phase: Phase): boolean {
  return ['connecting', 'connected', 'degraded', 'offline'].includes(phase);
}

/** Whether the service answers. */
export function isReady(phase: Phase): boolean {
  return phase === 'down' || isWanted(phase);
}
