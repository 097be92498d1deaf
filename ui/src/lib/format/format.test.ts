import { describe, expect, it } from 'vitest';
import { changeLanguage } from '../i18n/index.svelte';
import { ago, bytes, duration, groupedKey, latency, peerUri, placeName, rate } from '.';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('units', () => {
  it('gives sizes in about three digits', () => {
    expect([0, 999, 1000, 1234, 12_345_678, 999_999, 5e15].map(bytes).map(plain)).toEqual([
      '0 B',
      '999 B',
      '1 kB',
      '1.2 kB',
      '12 MB',
      '1 MB',
      '5 PB',
    ]);
  });

  it('shows what is unknown as a dash', () => {
    expect([rate(null), latency(null)]).toEqual(['–', '–']);
  });

  it('gives round trips from parts of a millisecond to seconds', () => {
    expect([0.3, 4.25, 24.4, 310, 12_000].map(latency).map(plain)).toEqual([
      '< 1 ms',
      '4.3 ms',
      '24 ms',
      '310 ms',
      '12 s',
    ]);
  });

  it('gives durations in their two largest units', () => {
    const given = [0, 8, 60, 190, 3600, 3725, 90_000, 86_400];
    expect(given.map(duration).map(plain)).toEqual([
      '0 s',
      '8 s',
      '1 min',
      '3 min',
      '1 h',
      '1 h 2 min',
      '1 d 1 h',
      '1 d',
    ]);
  });

  it('counts what just happened in words', () => {
    expect(ago(2)).toBe('just now');
    expect(ago(130)).toBe('2 min. ago');
  });

  it('follows the language', async () => {
    await changeLanguage('de');
    expect(plain(bytes(1234))).toBe('1,2 kB');
    await changeLanguage('en');
  });
});

describe('peers and keys', () => {
  it.each([
    ['tls://host.example:443', { transport: 'tls', host: 'host.example', port: '443' }],
    ['tcp://[2001:db8::1]:12345', { transport: 'tcp', host: '[2001:db8::1]', port: '12345' }],
    ['tls://[fe80::1%25eth0]:9', { transport: 'tls', host: '[fe80::1%25eth0]', port: '9' }],
    ['wss://host.example:443/way', { transport: 'wss', host: 'host.example', port: '443' }],
    ['unix:///run/a.sock', { transport: 'unix', host: '/run/a.sock', port: '' }],
    [
      'socks://me:word@127.0.0.1:9050/[2001:db8::1]:443',
      { transport: 'socks', host: '[2001:db8::1]', port: '443', via: '127.0.0.1:9050' },
    ],
    ['nonsense', { transport: '', host: 'nonsense', port: '' }],
    ['', { transport: '', host: '', port: '' }],
  ])('takes %s apart', (uri, parts) => expect(peerUri(uri)).toEqual({ via: null, ...parts }));

  it('groups a key and loses no digit', () => {
    const key = 'ab'.repeat(32);
    expect(groupedKey(key).split(' ')).toHaveLength(8);
    expect(groupedKey(key).replaceAll(' ', '')).toBe(key);
  });

  it('writes the names of the list for people', () => {
    expect(placeName('united-states')).toBe('United States');
  });
});
