// What comes of a backup, a key or a configuration of another program: told first, done on demand.

import type { IdentityImport, ImportItem, SettingsImport, Status } from '../protocol';
import { addressOf, subnetOf } from './address';
import { START } from './data';
import { hex, seeded } from './random';
import { fail } from './refusal';

export interface IdentityWish {
  text: string;
  passphrase: string | null;
  dry_run: boolean;
  replace: boolean;
}

export interface SettingsWish {
  text: string;
  name: string;
  dry_run: boolean;
  replace: boolean;
  keep_identity: boolean;
}

/** The key that is in every file of the mock. */
const KEY = hex(seeded(99), 64);
/** Opens no backup of the mock. */
const WRONG = 'wrong';
const KEPT = `/var/lib/planetary/identity.pem.replaced-${START}`;

const identityOf = (key: string) => ({
  key,
  address: addressOf(key),
  subnet: subnetOf(key),
  file: null,
});

function become(status: Status, key: string, wish: { dry_run: boolean; replace: boolean }) {
  const differs = key !== status.key;
  if (differs && !wish.dry_run && !wish.replace) {
    throw fail('identity_exists', 'the node has another identity');
  }
  const applied = differs && !wish.dry_run;
  const before = identityOf(status.key);
  return {
    result: { before, after: identityOf(key), differs, kept: applied ? KEPT : null },
    applied,
    status: { key, address: addressOf(key), subnet: subnetOf(key) },
  };
}

export function importIdentity(now: Status, wish: IdentityWish) {
  const backup = wish.text.trimStart().startsWith('{');
  if (backup && wish.passphrase === WRONG) {
    throw fail('wrong_passphrase', 'the backup does not open');
  }
  if (!backup && !wish.text.includes('-----BEGIN ')) {
    throw fail('invalid_import', 'neither a backup nor a key file');
  }
  const { result, applied, status } = become(now, KEY, wish);
  const done: IdentityImport = {
    ...result,
    applied,
    source: backup ? 'backup' : 'key',
    created: backup ? START - 8_000_000 : null,
    left: [],
  };
  return { import: done, status };
}

export function importSettings(now: Status, wish: SettingsWish) {
  if (!/peers|listen|private_?key/i.test(wish.text)) {
    throw fail('invalid_import', 'nothing in it is a setting of Yggdrasil');
  }
  const { result, applied, status } = become(now, wish.keep_identity ? now.key : KEY, wish);
  const item = (
    setting: string,
    value: string | null,
    outcome: ImportItem['outcome'],
    reason: string | null = null,
  ): ImportItem => ({ setting, value, outcome, reason, key: null });
  const items = [
    item('PrivateKey', null, wish.keep_identity ? 'kept' : 'taken'),
    item('Peers', 'tls://gothenburg.mesh.example:443', 'taken'),
    item('Peers', 'tls://falkenstein.peers.example:443', 'same'),
    item('Peers', 'socks://127.0.0.1:9050/host.example:80', 'left', 'socks is not available yet'),
    item('Listen', 'tls://[::]:9443', 'same'),
    item('IfMTU', '1500', wish.replace ? 'taken' : 'kept', wish.replace ? null : 'here 65535'),
    item('AdminListen', 'unix:///var/run/yggdrasil.sock', 'left', 'there is no such socket here'),
  ];
  const done: SettingsImport = {
    ...result,
    applied: applied || !wish.dry_run,
    config_file: '/etc/planetary/config.toml',
    items,
  };
  return { import: done, status };
}
