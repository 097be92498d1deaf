import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MockBackend } from '../api/mock/backend';
import { FRIENDS, status } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import { t } from '../i18n/index.svelte';
import { constellation, keyBytes, keyLines } from './constellation';
import { nameTrouble, notesFit } from './names';
import { matching, ordered } from './order';
import {
  contains,
  readService,
  reachWords,
  serviceWords,
  typedService,
  withService,
  writeService,
} from './services';
import { sha256 } from './sha256';
import { FRESH_MS, Ways } from './ways.svelte';

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('SHA-256', () => {
  it('agrees with the system for lengths around its blocks', () => {
    for (const length of [0, 1, 3, 32, 55, 56, 63, 64, 65, 119, 200]) {
      const bytes = Uint8Array.from({ length }, (_, at) => (at * 37 + length) & 0xff);
      expect(hexOf(sha256(bytes))).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });
});

describe('picture of a key', () => {
  const key = '0123456789abcdef'.repeat(4);

  it('is the same for the same key and another for one digit more', () => {
    expect(constellation(key)).toEqual(constellation(key));
    expect(constellation(key)).not.toEqual(constellation(`${key.slice(0, -1)}e`));
  });

  it('joins all stars and stays inside of its sky', () => {
    for (let at = 0; at < 200; at += 1) {
      const made = hexOf(sha256(Uint8Array.of(at)));
      const { stars, lines } = constellation(made);
      expect(lines).toHaveLength(stars.length - 1);
      const joined = new Set([0]);
      for (const [from, to] of lines) if (joined.has(from)) joined.add(to);
      expect(joined.size).toBe(stars.length);
      for (const { x, y, r } of stars) expect(Math.hypot(x - 50, y - 50) + r).toBeLessThan(50);
    }
  });

  it('comes with the digits as the command line groups them', () => {
    const bytes = Array.from({ length: 32 }, (_, at) => at.toString(16).padStart(2, '0')).join('');
    const lines = keyLines(bytes);
    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe('0001 0203 0405 0607');
    expect(lines[3]).toBe('1819 1a1b 1c1d 1e1f');
    expect([...keyBytes(bytes)].slice(0, 3)).toEqual([0, 1, 2]);
  });
});

describe('services', () => {
  it('are read and written as the service does', () => {
    for (const text of ['tcp/22', 'tcp/8000-8100', 'udp/any', 'ip/47', 'tcp/22@300::1']) {
      const service = readService(text);
      expect(service && writeService(service)).toBe(text);
    }
    for (const text of ['tcp/0', 'tcp/9-8', 'tcp/65536', 'ip/6', 'ip/256', 'ip/any', 'sctp/1', ''])
      expect(readService(text)).toBeNull();
  });

  it('are taken as people type them', () => {
    expect(typedService('tcp', ' 8000 – 8100 ')).toBe('tcp/8000-8100');
    expect(typedService('tcp', '1-65535')).toBe('tcp/any');
    expect(typedService('udp', 'ANY')).toBe('udp/any');
    expect(typedService('ip', '047')).toBe('ip/47');
    expect(typedService('tcp', '')).toEqual({ trouble: 'empty' });
    expect(typedService('tcp', '900-80')).toEqual({ trouble: 'ports' });
    expect(typedService('tcp', 'ssh')).toEqual({ trouble: 'ports' });
    expect(typedService('ip', '300')).toEqual({ trouble: 'protocol' });
    expect(typedService('ip', '58')).toEqual({ trouble: 'named' });
  });

  it('leave out what another contains', () => {
    expect(contains('tcp/any', 'tcp/22')).toBe(true);
    expect(contains('tcp/22', 'udp/22')).toBe(false);
    expect(contains('tcp/22@300::1', 'tcp/22')).toBe(false);
    expect(contains('tcp/22', 'tcp/22@300::1')).toBe(true);
    expect(withService(['tcp/any'], 'tcp/22')).toEqual(['tcp/any']);
    expect(withService(['tcp/22', 'udp/53'], 'tcp/1-1024')).toEqual(['udp/53', 'tcp/1-1024']);
  });

  it('are said in words', () => {
    expect(serviceWords('tcp/22')).toBe(t('reach.ssh'));
    expect(serviceWords('tcp/8000-8100')).toBe('ports 8000–8100');
    expect(serviceWords('udp/5353')).toBe('UDP port 5353');
    expect(serviceWords('ip/47')).toBe('protocol 47');
    expect(serviceWords('tcp/22@300::1')).toBe('ssh at 300::1');
    expect(reachWords(['tcp/80', 'tcp/443'], true)).toBe('web, ping');
    expect(reachWords(['tcp/any', 'udp/any'], false)).toBe(t('reach.all'));
    expect(reachWords([], false)).toBe(t('reach.nothing'));
  });
});

describe('names', () => {
  it.each([
    ['  ', 'empty'],
    ['x'.repeat(49), 'long'],
    ['a\u202eb', 'invisible'],
    ['Everyone', 'everyone'],
    ['200::1', 'node'],
    ['0'.repeat(64), 'long'],
    ['aDA', 'taken'],
    ['Зоя', null],
    ['ü'.repeat(48), null],
    ['10:30', null],
  ])('%j is %s', (name, trouble) => {
    expect(nameTrouble(name, FRIENDS)).toBe(trouble);
  });

  it('may stay what it is', () => {
    const [ada] = FRIENDS;
    expect(nameTrouble('Ada', FRIENDS, ada?.key)).toBeNull();
  });

  it('counts notes in bytes', () => {
    expect(notesFit('x'.repeat(1024))).toBe(true);
    expect(notesFit('ü'.repeat(513))).toBe(false);
  });
});

describe('order', () => {
  it('has who is online first and who is blocked last', () => {
    const names = ordered(FRIENDS).map((one) => one.name);
    expect(names[0]).toBe('Ada');
    expect(names.at(-1)).toBe('Old phone');
    expect(names.indexOf('Home server')).toBeLessThan(names.indexOf('Grandma'));
  });

  it('finds by name, notes and key', () => {
    const [ada] = FRIENDS;
    expect(matching(FRIENDS, 'SUMMER school')).toEqual([ada]);
    expect(matching(FRIENDS, ada?.key.slice(10, 30) ?? '')).toEqual([ada]);
    expect(matching(FRIENDS, 'ada grandma')).toEqual([]);
  });
});

describe('ways', () => {
  afterEach(() => vi.useRealTimers());

  it('asks one at a time, and not again while the answer is fresh', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const backend = new MockBackend(readScenario('?frozen'));
    let busy = 0;
    const asked: string[] = [];
    vi.spyOn(backend, 'ask').mockImplementation(async (request) => {
      busy += 1;
      expect(busy).toBe(1);
      await Promise.resolve();
      busy -= 1;
      if (request.type === 'path') asked.push(request.target);
      return { type: 'path', distance: 4 } as never;
    });
    const ways = new Ways(backend);
    const keys = FRIENDS.slice(0, 3).map((one) => one.key);
    await Promise.all([ways.want(keys.slice(0, 1)), ways.want(keys)]);
    expect(asked.sort()).toEqual([...keys].sort());
    await ways.want(keys);
    expect(asked).toHaveLength(3);
    vi.setSystemTime(Date.now() + FRESH_MS);
    await ways.want(keys);
    expect(asked).toHaveLength(6);
  });

  it('prefers a link of our own, and admits what it does not know', async () => {
    const { peers } = status('normal');
    const direct = FRIENDS.find((one) => peers.some((peer) => peer.up && peer.key === one.key));
    const other = FRIENDS[0];
    if (!direct || !other) throw new Error('the mock has no such friend');
    const backend = new MockBackend(readScenario('?scene=stopped&frozen'));
    const ways = new Ways(backend);
    await ways.want([other.key]);
    expect(ways.to(direct, peers)).toEqual({ kind: 'direct', latency_ms: 5.1 });
    expect(ways.to(other, peers)).toEqual({ kind: 'unknown' });
  });
});
