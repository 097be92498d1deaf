import { describe, expect, it, vi } from 'vitest';
import { MockBackend } from '../api/mock/backend';
import { readScenario, SCENES } from '../api/mock/scenario';
import { status } from '../api/mock/data';
import { App } from './app.svelte';
import { happenings } from './lately';
import { phaseOf, toneOf } from './phase';

const settle = () => new Promise((resolve) => setTimeout(resolve));
const mock = (scene: string) => new MockBackend(readScenario(`?scene=${scene}&frozen`));

async function open(scene: string) {
  const backend = mock(scene);
  const app = new App(backend);
  const stop = app.start();
  await settle();
  return { app, backend, stop };
}

describe('phase', () => {
  it('is the connection while the service cannot be asked, and then its own word', async () => {
    const phases = await Promise.all(
      SCENES.map(async (scene) => [scene, phaseOf(await mock(scene).connection())]),
    );
    expect(Object.fromEntries(phases)).toMatchObject({
      normal: 'connected',
      loading: 'loading',
      stopped: 'stopped',
      not_installed: 'not_installed',
      no_permission: 'no_permission',
      version_mismatch: 'version_mismatch',
      untrusted: 'untrusted',
      unreachable: 'unreachable',
      down: 'down',
      degraded: 'degraded',
      offline: 'offline',
    });
  });

  it('is green only for a proven connection', () => {
    const phases = ['loading', 'stopped', 'down', 'connecting', 'degraded', 'offline'] as const;
    for (const phase of phases) expect(toneOf(phase)).not.toBe('ok');
    expect(toneOf('connected')).toBe('ok');
  });
});

describe('service', () => {
  it('takes the state in, and traffic into the state', async () => {
    const { app, backend, stop } = await open('normal');
    const { service } = app;
    expect(service.phase).toBe('connected');
    const link = service.status?.peers[0]?.link ?? -1;
    const kept = service.latencies(link).length;
    backend.tick();
    expect(service.latencies(link)).toHaveLength(kept + 1);
    expect(service.rates.at(-1)?.rx).toBe(service.status?.rx_rate);
    expect(service.rates.length).toBeLessThanOrEqual(60);
    stop();
  });

  it('switches off and on, and tells it under what changed lately', async () => {
    const { app, stop } = await open('normal');
    await app.service.turn('down');
    expect(app.service.phase).toBe('down');
    expect(app.service.lately[0]?.kind).toBe('switched_off');
    stop();
  });

  it('keeps the last state when the service goes away', async () => {
    const { app, backend, stop } = await open('normal');
    backend.play('connection', {
      state: 'stopped',
      since: 0,
      message: '',
      place: '',
      command: null,
      can_supervise: true,
      retry_in_s: 1,
      details: '',
      step: 'start',
    });
    expect(app.service.phase).toBe('stopped');
    expect(app.service.status?.peers.length).toBeGreaterThan(0);
    expect(app.service.ready).toBe(false);
    stop();
  });

  it('shows why a step was not taken', async () => {
    const { app, backend, stop } = await open('stopped');
    vi.spyOn(backend, 'supervise').mockRejectedValue({ code: 'system_refused', message: 'no' });
    await app.service.turn('start');
    expect(app.service.failure?.code).toBe('system_refused');
    expect(app.service.wish).toBeNull();
    stop();
  });

  it('asks for a topic while somebody wants it', async () => {
    const { app, backend, stop } = await open('normal');
    const watch = vi.spyOn(backend, 'watch');
    const first = app.service.want('topology');
    const second = app.service.want('topology');
    first();
    expect(watch).toHaveBeenCalledTimes(1);
    second();
    expect(watch).toHaveBeenLastCalledWith(expect.not.arrayContaining(['topology']));
    stop();
  });
});

describe('lately', () => {
  const before = status('normal');

  it('is empty when nothing changed', () => {
    expect(happenings(before, { ...before, time: before.time + 1 })).toEqual([]);
  });

  it('tells of a peer that went and why, and of one that is dialled back', () => {
    const lost = before.peers.map((peer, at) =>
      at === 0
        ? { ...peer, up: false, last_error: { code: 'peer_timeout', message: '', at: 1 } }
        : peer,
    );
    const found = happenings(before, { ...before, peers: lost });
    expect(found).toMatchObject([{ kind: 'peer_down', code: 'peer_timeout' }]);
    expect(happenings({ ...before, peers: lost }, before)).toMatchObject([{ kind: 'peer_up' }]);
  });

  it('tells how long the way back took', () => {
    const offline = status('offline');
    const now = { ...before, time: offline.state_since + 90 };
    expect(happenings(offline, now)).toContainEqual({
      kind: 'connected',
      after_s: 90,
      at: now.time,
    });
  });

  it('does not count a pause as a loss', () => {
    const paused = before.peers.map((peer, at) =>
      at === 0 ? { ...peer, up: false, paused: true } : peer,
    );
    expect(happenings(before, { ...before, peers: paused })).toEqual([]);
  });
});

describe('app', () => {
  it('brings a link that was opened to the preview', async () => {
    const { app, backend, stop } = await open('normal');
    backend.play('link', { text: 'planetary:friend?k=00' });
    expect(app.navigation.sheet).toEqual({ kind: 'add_friend', text: 'planetary:friend?k=00' });
    stop();
  });

  it('goes where the tray asks, and nowhere it does not know', async () => {
    const { app, backend, stop } = await open('normal');
    backend.play('show', { view: 'peers' });
    backend.play('show', { view: 'moon' });
    expect(app.navigation.view).toBe('peers');
    stop();
  });

  it('asks for friends again when they changed', async () => {
    const { app, stop } = await open('normal');
    const friends = app.friends.list?.length ?? 0;
    await app.friends.add({ who: 'ab'.repeat(32), name: 'New' });
    expect(app.friends.list).toHaveLength(friends + 1);
    stop();
  });
});
