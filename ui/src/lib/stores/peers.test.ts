import { describe, expect, it, vi } from 'vitest';
import type { Asked, Backend } from '../api/backend';
import { MockBackend } from '../api/mock/backend';
import { PUBLIC } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import { App } from './app.svelte';
import { progressOf, runJob } from './job';
import { TEST_MAX } from './peers.svelte';

const usable = PUBLIC.filter((peer) => peer.usable).map((peer) => peer.uri);
const mock = () => new MockBackend(readScenario('?scene=normal&frozen'));

/** A backend that notes what it is asked for. */
function noted(backend: Backend = mock()) {
  const asked: Asked[] = [];
  const ask: Backend['ask'] = (request) => {
    asked.push(request);
    return backend.ask(request);
  };
  return {
    asked,
    backend: new Proxy(backend, {
      get: (target, name) => {
        if (name === 'ask') return ask;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    }),
  };
}

describe('progress', () => {
  it('tells the time left once that says something', () => {
    expect(progressOf(0, 36, 0)).toEqual({ tested: 0, total: 36, left_s: null });
    expect(progressOf(3, 36, 900).left_s).toBeNull();
    expect(progressOf(12, 36, 1500).left_s).toBe(3);
    expect(progressOf(35, 36, 100).left_s).toBe(1);
    expect(progressOf(36, 36, 4000).left_s).toBeNull();
  });
});

describe('a job', () => {
  it('is followed to its end, and every result comes once', async () => {
    const counts: number[] = [];
    const request = { type: 'peer_test' as const, uris: usable.slice(0, 20) };
    const done = await runJob(mock(), request, new AbortController().signal, (job) =>
      counts.push(job.results.length),
    );
    expect(done.done).toBe(true);
    expect(done.results.map((one) => one.uri)).toEqual(usable.slice(0, 20));
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(counts.at(-1)).toBe(20);
  });

  it('ends when it is told to', async () => {
    const stop = new AbortController();
    const { asked, backend } = noted();
    const request = { type: 'peer_test' as const, uris: usable };
    const done = await runJob(backend, request, stop.signal, (job) => {
      if (job.tested > 0) stop.abort();
    });
    expect(done).toMatchObject({ done: true, cancelled: true });
    expect(done.results.length).toBeLessThan(usable.length);
    expect(asked.filter((one) => one.type === 'peer_job_cancel')).toHaveLength(1);
  });

  it('fails with the reason that the service gives', async () => {
    const error = { code: 'unreachable', message: 'none answered', hint: null };
    const backend = noted();
    const failing = new Proxy(backend.backend, {
      get: (target, name) =>
        name === 'ask'
          ? async (request: Asked) => ({ ...(await target.ask(request)), done: true, error })
          : (Reflect.get(target, name, target) as unknown),
    });
    const request = { type: 'peer_choose' as const };
    const job = runJob(failing, request, new AbortController().signal, () => undefined);
    await expect(job).rejects.toMatchObject(error);
  });
});

describe('the store of peers', () => {
  it('reads the list once, however often it is asked', async () => {
    const { asked, backend } = noted();
    const { peers } = new App(backend);
    await Promise.all([peers.load(), peers.load()]);
    expect(asked).toHaveLength(1);
    expect(peers.list?.total).toBe(PUBLIC.length);
    expect(peers.listed(usable[0]!)?.uri).toBe(usable[0]);
    expect(peers.listed('tls://other:1')).toBeUndefined();
  });

  it('tests in pieces that the service takes, with one progress for all', async () => {
    const uris = Array.from(
      { length: TEST_MAX + 10 },
      (_, at) => `tls://ams.peers.example:${at + 1}`,
    );
    const sizes: number[] = [];
    const totals = new Set<number | undefined>();
    const quick = noted();
    const backend = new Proxy(quick.backend, {
      get: (target, name) =>
        name === 'ask'
          ? (request: Asked) => {
              totals.add(peers.testing?.total);
              if (request.type !== 'peer_test') throw new Error(request.type);
              const list = request.uris ?? [];
              sizes.push(list.length);
              const results = list.map((uri) => ({ uri, round_trip_ms: 5 }));
              const { length } = list;
              return Promise.resolve({
                ...{ type: 'peer_job', job: 1, done: true, cancelled: false, error: null },
                ...{ total: length, tested: length, results, choices: [] },
              });
            }
          : (Reflect.get(target, name, target) as unknown),
    });
    const { peers } = new App(backend);
    expect(await peers.test(uris)).toBe(true);
    expect(sizes).toEqual([TEST_MAX, 10]);
    expect([...totals]).toEqual([uris.length]);
    expect(peers.tests.size).toBe(uris.length);
    expect(peers.testing).toBeNull();
  });

  it('stops a test that runs before it chooses: the service has room for one job', async () => {
    const { asked, backend } = noted();
    const { peers } = new App(backend);
    const test = peers.test(usable);
    await vi.waitFor(() => expect(peers.testing?.tested).toBeGreaterThan(0));
    const choice = peers.choose({ best: 2 }, () => undefined);
    expect(await test).toBe(false);
    const { choices } = await choice;
    expect(choices).toHaveLength(2);
    expect(choices.every((one) => one.added !== null)).toBe(true);
    const jobs = asked.map((one) => one.type).filter((type) => type !== 'peer_job');
    expect(jobs).toEqual(['peer_test', 'peer_job_cancel', 'peer_choose']);
  });

  it('keeps the list when it cannot be fetched anew, and says why', async () => {
    const failing = noted();
    const refused = Object.assign(new Error('no'), { code: 'config', hint: null });
    const backend = new Proxy(failing.backend, {
      get: (target, name) =>
        name === 'ask'
          ? (request: Asked) =>
              request.type === 'peer_public_refresh' ? Promise.reject(refused) : target.ask(request)
          : (Reflect.get(target, name, target) as unknown),
    });
    const { peers } = new App(backend);
    await peers.load();
    await peers.refresh();
    expect(peers.list?.total).toBe(PUBLIC.length);
    expect(peers.failure?.code).toBe('config');
    expect(peers.refreshing).toBe(false);
  });
});
