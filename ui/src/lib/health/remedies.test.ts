import { describe, expect, it } from 'vitest';
import type { Absence, Connection } from '../api/shell';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import { questions, QUESTIONS } from './checks';
import { remedyOf } from './remedies';

const ready = () => new MockBackend(readScenario('?frozen')).connection();
const away = (state: Absence, command: string | null, can_supervise: boolean): Connection => ({
  state,
  since: 0,
  message: '',
  place: '',
  command,
  can_supervise,
  retry_in_s: 1,
  details: '',
  step: null,
});

describe('remedyOf', () => {
  it('lets the system start the service where it can, and else gives the command', () => {
    const stopped = (command: string | null, can: boolean) =>
      remedyOf('stopped', away('stopped', command, can));
    expect(stopped('sudo start', true)).toMatchObject({ kind: 'supervise', step: 'start' });
    expect(stopped('sudo start', false)).toMatchObject({ kind: 'copy', command: 'sudo start' });
    expect(stopped(null, false)).toMatchObject({ kind: 'again' });
  });

  it('gives the command to somebody without permission', () => {
    const remedy = remedyOf('no_permission', away('no_permission', 'usermod', false));
    expect(remedy).toMatchObject({ kind: 'copy', command: 'usermod' });
  });

  it('has something to do about all that is wrong, but for what passes by itself', async () => {
    const connection = await ready();
    const codes = questions.flatMap((question) => [...QUESTIONS[question]] as string[]);
    const without = codes.filter((code) => remedyOf(code, connection) === null);
    expect(without).toEqual([
      'service',
      'control_socket',
      // With the service there, nobody lacks the permission to ask it.
      'no_permission',
      'identity',
      'config',
      'state',
      'sequence_damaged',
      'peer_statistics_damaged',
      'up',
      'tun',
      'rights',
      'alone',
      'names',
      'hosts',
      'peers',
      'listen',
      'tree',
      'proof',
      'clock',
      'clock_jumped',
      'room',
    ]);
  });
});
