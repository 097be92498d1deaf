import { describe, expect, it } from 'vitest';
import { textOf } from './import.svelte';
import { recognise } from './recognise';

const BACKUP = JSON.stringify({ format: 'planetary-backup', version: 1, address: '206:2f7c::1' });
const KEY = '-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n';
const GENCONF = `{
  # Your private key. DO NOT share this with anyone!
  PrivateKey: 2622a57c500dbf22
  Peers: [
    tls://one.example:443
  ]
}`;

describe('recognise', () => {
  it('knows a backup and says whose it is', () => {
    expect(recognise(`\n ${BACKUP}\n`)).toEqual({ kind: 'backup', address: '206:2f7c::1' });
  });

  it.each([
    ['a key', KEY, { kind: 'key' }],
    ['the reference, HJSON', GENCONF, { kind: 'settings', toml: false }],
    ['the reference, JSON', '{"Peers":["tls://a.example:1"]}', { kind: 'settings', toml: false }],
    ['HJSON without braces', 'Listen: []\n', { kind: 'settings', toml: false }],
    ['the rewrite, TOML', 'peers = ["tls://a.example:1"]\n', { kind: 'settings', toml: true }],
    ['a key within HJSON', `{ PrivateKey: '''${KEY}''' }`, { kind: 'settings', toml: false }],
    ['a key within TOML', `private_key = """\n${KEY}"""`, { kind: 'settings', toml: true }],
    ['nothing', '', { kind: 'unknown' }],
    ['a letter', 'Dear Peers: how are you?', { kind: 'unknown' }],
    ['a damaged backup', BACKUP.slice(0, -2), { kind: 'unknown' }],
    ['other JSON', '{"format":"other","note":"planetary-backup"}', { kind: 'unknown' }],
    ['a public key', KEY.replaceAll('PRIVATE', 'PUBLIC'), { kind: 'unknown' }],
  ])('knows %s', (_, text, kind) => {
    expect(recognise(text)).toEqual(kind);
  });
});

describe('the text of a file', () => {
  const bytes = (...parts: number[]) => new Blob([new Uint8Array(parts)]);

  it('is UTF-8, or UTF-16 where the file says so', async () => {
    expect(await textOf(new Blob(['é']))).toBe('é');
    expect(await textOf(bytes(0xff, 0xfe, 0xe9, 0x00))).toBe('é');
    expect(await textOf(bytes(0xfe, 0xff, 0x00, 0xe9))).toBe('é');
    expect(await textOf(bytes())).toBe('');
  });
});
