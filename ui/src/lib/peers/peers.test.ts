import { afterEach, describe, expect, it } from 'vitest';
import type { PeerChoice, PeerTest, PublicPeer } from '../api/protocol';
import { PEERS, PUBLIC } from '../api/mock/data';
import { latency } from '../format';
import { changeLanguage, t } from '../i18n/index.svelte';
import { countryName, regionName } from './places';
import { ALL, kindsOf, lineKey, lines, matching } from './public';
import { operatorOf, reasonsFor } from './reasons';
import { columnsFor, isOwn, peerRow, peerState, sorted, type Column } from './rows';
import { checkUri, checkUris, urisIn } from './uri';

afterEach(() => changeLanguage('en'));

const anything = { own: () => false, dials: () => null };
const problem = (text: string) => checkUri(text, anything).problem;

describe('URIs that are typed', () => {
  it('are found in messages and in configuration files', () => {
    const pasted = 'Peers: [\n  "tls://a.example:443",\n  "tcp://[2001:db8::1]:12"\n]';
    expect(urisIn(pasted).slice(1)).toEqual(['tls://a.example:443', 'tcp://[2001:db8::1]:12']);
    expect(urisIn('  <tls://a:1>; tcp://b:2 \n\n')).toEqual(['tls://a:1', 'tcp://b:2']);
    expect(urisIn(' \n ')).toEqual([]);
  });

  it.each([
    'tls://host.example:443',
    'tcp://192.0.2.7:1',
    'tcp://[2001:db8::1]:12345',
    'tcp://[fe80::1%25eth0]:9001',
    'quic://host.example:65535',
    'ws://host.example:80/path',
    'ws://me:word@host.example:80/a/path?priority=2',
    'wss://host.example:443?sni=front.example',
    'unix:///run/other.sock',
    'socks://127.0.0.1:9050/host.example:443',
    'sockstls://me:word@proxy.example:1080/[2001:db8::1]:443/?sni=a.example',
    `tls://a:1?key=${'0f'.repeat(32)}&priority=3&password=x`,
    'TLS://Host.Example:443',
  ])('%s can be added', (text) => expect(problem(text)).toBeNull());

  it.each([
    ['host.example:443', 'no_scheme'],
    ['http://host.example:443', 'unknown_scheme'],
    ['tls://', 'no_host'],
    ['tls://:443', 'no_host'],
    ['tls://host.example', 'no_port'],
    ['tls://host.example:', 'no_port'],
    ['tls://host.example:0', 'bad_port'],
    ['tls://host.example:65536', 'bad_port'],
    ['tls://host.example:44a', 'bad_port'],
    ['tls://[2001:db8::1:443', 'bad_host'],
    ['tls://2001:db8::1:443', 'bad_host'],
    ['tls://ho st:1'.replace(' ', '!'), 'bad_host'],
    ['tls://1.2.3:443', 'bad_host'],
    ['tls://me@host:1', 'user_information'],
    ['tls://host:1/path', 'trailing'],
    ['unix://run/other.sock', 'socket_host'],
    ['unix:///', 'bad_socket'],
    [`unix:///${'x'.repeat(107)}`, 'bad_socket'],
    ['socks://127.0.0.1:9050', 'no_destination'],
    ['socks://127.0.0.1/host.example:443', 'no_port'],
    ['socks://127.0.0.1:9050/host.example', 'no_port'],
    ['unix://me@/run/other.sock', 'socket_host'],
    ['ws://host.example:80/way&key=1', 'bad_path'],
    ['tcp://host.example:1?sni=a.example', 'no_sni'],
    ['tls://host:1#name', 'trailing'],
    ['tls://host:1?pasword=x', 'unknown_option'],
    ['tls://host:1?key=abc', 'bad_key'],
    ['tls://[201:1::1]:443', 'own_network'],
    ['tls://[3ff:1::1]:443', 'own_network'],
    [`tls://host:1?password=${'x'.repeat(2048)}`, 'too_long'],
  ])('%s: %s', (text, expected) => expect(problem(text)).toBe(expected));

  it('are named without options, in lower case', () => {
    expect(checkUri('TLS://Host.Example:0443?priority=1', anything).name).toBe(
      'tls://host.example:443',
    );
    expect(checkUri('socks://me:word@Proxy:1/Host:2/?priority=1', anything).name).toBe(
      'socks://proxy:1/host:2',
    );
    expect(checkUri('wss://me@host:1/', anything).name).toBe('wss://host:1');
    expect(checkUri('wss://host:1/Way', anything).name).toBe('wss://host:1/Way');
  });

  it('may be there already, twice, or of a transport the node does not have', () => {
    const known = {
      own: (uri: string) => uri === 'tls://mine:1',
      dials: (transport: string) => transport !== 'quic',
    };
    const checked = checkUris('tls://mine:1 tcp://b:2 tcp://b:2?priority=1 quic://c:3', known);
    expect(checked.map((one) => one.problem)).toEqual(['exists', null, 'twice', 'not_built']);
  });
});

describe('rows of the table', () => {
  const none = { friend: null, country: null };
  const rows = PEERS.map((peer) => peerRow(peer, 'connected', none));
  const order = (column: Column, descending = false) =>
    sorted(rows, { column, descending }).map((row) => row.peer.link);

  it('say how a link is', () => {
    const [up, , , , down, paused] = PEERS;
    expect(peerState(up!, 'connected')).toBe('up');
    expect(peerState({ ...up!, suspect: true }, 'connected')).toBe('suspect');
    expect(peerState(down!, 'connected')).toBe('waiting');
    expect(peerState({ ...down!, reconnect_in_s: null }, 'connected')).toBe('dialing');
    expect(peerState({ ...down!, reconnect_in_s: null }, 'down')).toBe('off');
    expect(peerState(paused!, 'down')).toBe('paused');
  });

  it('are sorted by what they say, and what is unknown comes last either way', () => {
    expect(order('latency')).toEqual([4, 1, 2, 3, 5, 6]);
    expect(order('latency', true)).toEqual([3, 2, 1, 4, 5, 6]);
    expect(order('state')).toEqual([1, 2, 3, 4, 5, 6]);
    expect(order('uptime', true)).toEqual([1, 2, 4, 3, 5, 6]);
    expect(order('direction').at(0)).toBe(4);
  });

  it('are sorted by name as people do, not by bytes', () => {
    const named = ['ärger', 'zoo', 'Apfel'].map((friend, at) =>
      peerRow(PEERS[at]!, 'connected', { friend, country: null }),
    );
    const names = sorted(named, { column: 'name', descending: false }).map((row) => row.name);
    expect(names).toEqual(['Apfel', 'ärger', 'zoo']);
  });

  it('can be removed when the person has made them', () => {
    expect(PEERS.map(isOwn)).toEqual([true, true, true, false, true, true]);
    expect(isOwn({ ...PEERS[0]!, source: 'lan' })).toBe(false);
  });

  it('lose columns when there is no room, never the name', () => {
    const counts = [20, 35, 50, 90].map((width) => columnsFor(width).length);
    expect(counts).toEqual([3, 5, 7, 9]);
    expect(columnsFor(10)[0]).toBe('name');
  });
});

const tested = (uri: string, round_trip_ms: number | null): PeerTest => ({
  uri,
  interface: null,
  country: null,
  key: null,
  remote: null,
  connect_ms: round_trip_ms,
  round_trip_ms,
  error: null,
});

describe('the public list', () => {
  it('is narrowed by region, transport and words in the language of the person', async () => {
    const count = (filter: Partial<typeof ALL>) =>
      matching(PUBLIC, { ...ALL, ...filter }, countryName).length;
    expect(count({})).toBe(PUBLIC.length);
    expect(count({ region: 'oceania' })).toBe(6);
    expect(count({ transports: ['tls'] })).toBe(23);
    expect(count({ transports: ['tls', 'tcp'] })).toBeGreaterThan(23);
    expect(count({ search: 'united STATES' })).toBeGreaterThan(2);
    expect(count({ search: 'germany nuremberg' })).toBe(5);
    expect(count({ search: 'nowhere' })).toBe(0);
    await changeLanguage('de');
    expect(count({ search: 'vereinigte' })).toBeGreaterThan(2);
  });

  it('stands in groups, in the order of names until something was measured', () => {
    const all = lines(PUBLIC, new Map(), countryName);
    const countries = all.flatMap((line) => (line.kind === 'country' ? [line.country] : []));
    expect(countries.slice(0, 3)).toEqual(['australia', 'brazil', 'canada']);
    expect(all).toHaveLength(PUBLIC.length + countries.length);
    expect(new Set(all.map(lineKey)).size).toBe(all.length);
  });

  it('puts what answered first, and what did not last', () => {
    const [a, b, c] = ['tls://berlin', 'tls://nuremberg', 'tls://falkenstein'].map((start) =>
      PUBLIC.find((peer) => peer.uri.startsWith(start))!,
    ) as [PublicPeer, PublicPeer, PublicPeer];
    const tests = new Map([
      [a.uri, tested(a.uri, null)],
      [b.uri, tested(b.uri, 40)],
      [c.uri, tested(c.uri, 20)],
    ]);
    const [country, first, second, ...rest] = lines([a, b, c], tests, countryName);
    expect(country).toMatchObject({ kind: 'country', country: 'germany' });
    expect([first, second, ...rest].map((line) => lineKey(line!))).toEqual([c.uri, b.uri, a.uri]);
    const sweden = PUBLIC.find((peer) => peer.country === 'sweden')!;
    const near = new Map([[sweden.uri, tested(sweden.uri, 9)]]);
    expect(lines(PUBLIC, near, countryName)[0]).toMatchObject({ country: 'sweden' });
  });

  it('names its kinds, the most frequent first', () => {
    expect(kindsOf(PUBLIC, 'region')[0]).toBe('europe');
    expect(kindsOf(PUBLIC, 'transport')).toEqual(['tls', 'tcp', 'quic', 'ws', 'wss', 'masque']);
  });
});

describe('places', () => {
  it('are named in the language of the person', async () => {
    expect(countryName('united-states')).toBe('United States');
    expect(countryName('turkey')).toBe('Türkiye');
    expect(countryName('hong-kong')).toBe('Hong Kong');
    await changeLanguage('de');
    expect(countryName('saudi-arabia')).toBe('Saudi-Arabien');
    expect(countryName('hong-kong')).toBe('Hongkong');
    await changeLanguage('ru');
    expect(countryName('czechia')).toBe('Чехия');
  });

  it('keep their own name when nobody knows them', () => {
    expect(countryName('middle-earth')).toBe('Middle Earth');
    expect(regionName('far-side')).toBe('Far Side');
    expect(regionName('mena')).toBe(t('region.mena'));
  });

  it('covers every country of the made-up list', () => {
    for (const { country } of PUBLIC) expect(countryName(country)).not.toContain('-');
  });
});

describe('reasons for a choice', () => {
  const choice = (uri: string, round_trip_ms: number): PeerChoice => ({
    uri,
    round_trip_ms,
    region: 'europe',
    country: 'germany',
    reason: 'in English',
    added: null,
  });
  const record = { tries: 12, answers: 11, best_ms: 1, median_ms: 2, last_good: 1 };

  it('come from what was measured', () => {
    const choices = [
      choice('tls://a.one.example:443', 18),
      choice('tcp://b.two.example:9001', 60),
      choice('tls://c.two.example:443', 400),
    ];
    const results = [18, 60, 400, null].map((time, at) => tested(`tls://x:${at}`, time));
    const recordOf = (uri: string) => (uri.includes('b.two') ? record : null);
    const [first, second, third] = reasonsFor(choices, { results, kept: [], recordOf });
    expect(first).toEqual([
      t('peers.reason.nearest', { answered: 3, time: latency(18) }),
      t('peers.reason.open', { transport: 'tls', port: '443' }),
    ]);
    expect(second).toEqual([
      t('peers.reason.near', { time: latency(60) }),
      t('peers.reason.way', { transport: 'tcp', port: '9001' }),
      t('peers.reason.other', { operator: 'two.example' }),
      t('peers.reason.proven', { answers: 11, tries: 12 }),
    ]);
    expect(third).toContain(t('peers.reason.far', { time: latency(400) }));
    expect(third).toContain(t('peers.reason.same', { operator: 'two.example' }));
  });

  it('hold a choice against the peers that were there before', () => {
    const field = { results: [], kept: ['tcp://x.one.example:1'], recordOf: () => null };
    const [reasons] = reasonsFor([choice('tls://a.one.example:443', 18)], field);
    expect(reasons).toContain(t('peers.reason.same', { operator: 'one.example' }));
  });

  it('know who runs a host by its form', () => {
    expect(operatorOf('tls://a.b.example.org:1')).toBe('example.org');
    expect(operatorOf('tls://a.b.co.uk:1')).toBe('b.co.uk');
    expect(operatorOf('tls://192.0.2.7:1')).toBe('192.0.2.7');
    expect(operatorOf('tls://[2001:db8::1]:1')).toBe('[2001:db8::1]');
    expect(operatorOf('tls://localhost:1')).toBe('localhost');
  });
});
