// What kind of file a text is, by its content. Only a look: the service and the shell read it
// with care and have the last word.

export type FileKind =
  | { kind: 'backup'; address: string | null }
  | { kind: 'key' }
  | { kind: 'settings'; toml: boolean }
  | { kind: 'unknown' };

/** The largest configuration that is read, in bytes; backups are smaller. */
export const FILE_BYTES_MAX = 700 * 1024;

/** Names of settings that Yggdrasil (HJSON, JSON) and Yggdrasil-ng (TOML) have. */
const FOREIGN =
  /^[\s{,]*["']?(PrivateKey|Peers|InterfacePeers|Listen|AdminListen|MulticastInterfaces|IfName|IfMTU|NodeInfo|AllowedPublicKeys)["']?\s*:/m;
const FOREIGN_TOML =
  /^\s*(private_key|private_key_path|peers|listen|admin_listen|if_name|if_mtu|node_info|allowed_public_keys)\s*=/m;

export function recognise(text: string): FileKind {
  const backup = backupOf(text);
  if (backup) return backup;
  if (/^\s*-----BEGIN [A-Z ]*PRIVATE KEY-----/m.test(text) && !FOREIGN.test(text)) {
    return FOREIGN_TOML.test(text) ? { kind: 'settings', toml: true } : { kind: 'key' };
  }
  if (FOREIGN.test(text)) return { kind: 'settings', toml: false };
  if (FOREIGN_TOML.test(text)) return { kind: 'settings', toml: true };
  return { kind: 'unknown' };
}

function backupOf(text: string): FileKind | null {
  if (!text.includes('planetary-backup')) return null;
  try {
    const file: unknown = JSON.parse(text);
    if (file === null || typeof file !== 'object') return null;
    if (!('format' in file) || file.format !== 'planetary-backup') return null;
    const address = 'address' in file && typeof file.address === 'string' ? file.address : null;
    return { kind: 'backup', address };
  } catch {
    return null;
  }
}
