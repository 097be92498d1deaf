// In which order friends are shown, and which of them a search finds.

import type { Friend } from '$lib/api/protocol';
import { currentLanguage } from '$lib/i18n/index.svelte';

const rank = (friend: Friend) => (friend.blocked ? 2 : friend.online ? 0 : 1);

export function ordered(friends: readonly Friend[]): Friend[] {
  const names = new Intl.Collator(currentLanguage(), { sensitivity: 'base', numeric: true });
  return [...friends].sort((a, b) => rank(a) - rank(b) || names.compare(a.name, b.name));
}

/** Those whose name, notes, address or key hold all words of the search. */
export function matching(friends: readonly Friend[], search: string): Friend[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return friends.filter((friend) => {
    const { name, notes, address, key } = friend;
    const text = [name, notes, address, key].join('\n').toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
