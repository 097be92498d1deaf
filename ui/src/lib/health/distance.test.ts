import { describe, expect, it } from 'vitest';
import { MockBackend } from '../api/mock/backend';
import { FRIENDS, PEERS, status } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import type { PathReport, PeerStatus } from '../api/protocol';
import { adviceOf, distance, friendNamed, linksBySpeed, speedOf } from './distance';

const now = status('normal');
const [near, far] = PEERS as [PeerStatus, PeerStatus];

const answer = await new MockBackend(readScenario('?frozen')).ask({
  type: 'path',
  target: 'f'.repeat(64),
});
const path = (more: Partial<PathReport>): PathReport => ({
  ...answer,
  distance: 4,
  next_hops: [],
  ...more,
});
const over = ({ key, address, uri, latency_ms }: PeerStatus) => ({
  key: key ?? '',
  address: address ?? '',
  uri,
  port: 1,
  latency_ms,
});

describe('distance', () => {
  it('knows this computer and a direct peer by their keys', () => {
    expect(distance(path({ key: now.key }), [0.1], now).way).toBe('self');
    const direct = distance(path({ key: near.key ?? '' }), [24, 26], now);
    expect(direct).toMatchObject({ way: 'direct', hops: 1, via: null, avg_ms: 25 });
  });

  it('does not call a peer direct that is down', () => {
    const peers = now.peers.map((peer) => ({ ...peer, up: false }));
    expect(distance(path({ key: near.key ?? '' }), [24], { ...now, peers }).way).toBe('unknown');
  });

  it('tells the first peer and on which part the time goes by', () => {
    const relayed = (ms: number) => distance(path({ next_hops: [over(far)] }), [ms], now);
    expect(relayed(200)).toMatchObject({ way: 'relayed', hops: 4, via: 'strasbourg.mesh.example' });
    expect(relayed(200).slow_part).toBe('beyond');
    expect(relayed(40).slow_part).toBe('first');
  });

  it('counts what was lost and leaves it out of the times', () => {
    const found = distance(path({ next_hops: [over(near)] }), [100, null, 300, null, 200], now);
    expect(found).toMatchObject({ sent: 5, lost: 2, min_ms: 100, avg_ms: 200, max_ms: 300 });
    expect(found.speed).toBe('slow');
  });

  it('has no times and no part to blame when nothing came back', () => {
    const found = distance(null, [null], now);
    expect(found).toMatchObject({ way: 'unknown', avg_ms: null, speed: 'silent', slow_part: null });
  });

  it('calls round trips what they feel like', () => {
    expect([12, 60, 61, 150, 151].map(speedOf)).toEqual(['fast', 'fast', 'fair', 'fair', 'slow']);
  });
});

describe('friendNamed', () => {
  it('finds a whole name whatever its case, and the only one that begins so', () => {
    expect(friendNamed(' ADA ', FRIENDS)?.name).toBe('Ada');
    expect(friendNamed('gran', FRIENDS)?.name).toBe('Grandma');
  });

  it('does not guess between two, nor from nothing', () => {
    expect(friendNamed('a', FRIENDS)).toBeNull();
    expect(friendNamed('  ', FRIENDS)).toBeNull();
    expect(friendNamed('zz', FRIENDS)).toBeNull();
  });
});

describe('links', () => {
  it('are those that are up, the quickest first and the unmeasured last', () => {
    const unmeasured = { ...near, link: 99, latency_ms: null };
    const sorted = linksBySpeed([unmeasured, ...PEERS]).map(({ link }) => link);
    expect(sorted).toEqual([4, 1, 2, 3, 99]);
  });

  it('are judged by the nearest that answers', () => {
    const link = (latency_ms: number, suspect = false) => ({ ...near, latency_ms, suspect });
    expect(adviceOf([])).toBe('none');
    expect(adviceOf([link(20), link(900)])).toBe('good');
    expect(adviceOf([link(20), link(30, true)])).toBe('suspect');
    expect(adviceOf([link(20, true), link(180)])).toBe('far');
    expect(adviceOf([link(20, true)])).toBe('suspect');
  });
});
