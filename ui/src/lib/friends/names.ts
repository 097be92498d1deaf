// What can be the name of a friend: the service's rules, so that a mistake is named as it is typed.

import type { Friend } from '$lib/api/protocol';

/** In characters; `FRIEND_NAME_CHARS_MAX` of the service. */
export const NAME_CHARS_MAX = 48;
/** In bytes; `FRIEND_NOTES_LEN_MAX` of the service. */
export const NOTES_BYTES_MAX = 1024;

export type NameTrouble = 'empty' | 'long' | 'invisible' | 'everyone' | 'node' | 'taken';

/** Characters that show nothing, or turn others about: two names that look alike must be alike. */
const INVISIBLE =
  /[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{e0000}-\u{e0fff}]/u;
const ADDRESS = /^(?=.*:.*:)[0-9a-f:.]+$/i;

export function nameTrouble(
  typed: string,
  friends: readonly Friend[],
  own: string | null = null,
): NameTrouble | null {
  const name = typed.trim();
  if (name === '') return 'empty';
  if (Array.from(name).length > NAME_CHARS_MAX) return 'long';
  if (INVISIBLE.test(name)) return 'invisible';
  const folded = name.toLowerCase();
  if (folded === 'everyone') return 'everyone';
  if (ADDRESS.test(name)) return 'node';
  const taken = friends.some((one) => one.key !== own && one.name.toLowerCase() === folded);
  return taken ? 'taken' : null;
}

export function notesFit(notes: string): boolean {
  return new TextEncoder().encode(notes).length <= NOTES_BYTES_MAX;
}
