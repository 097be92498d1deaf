// In which order circles are shown: what waits for the person first, what is over last.

import type { Circle, CircleState, Member } from '$lib/api/protocol';
import { currentLanguage } from '$lib/i18n/index.svelte';

const RANKS: Record<CircleState, number> = {
  invited: 0,
  member: 1,
  asking: 2,
  waiting: 2,
  refused: 3,
  expired: 3,
  removed: 3,
  left: 3,
};

/** States in which nothing will happen by itself any more. */
export const isOver = ({ state }: Circle) => RANKS[state] === 3;

export function ordered(circles: readonly Circle[]): Circle[] {
  const names = new Intl.Collator(currentLanguage(), { sensitivity: 'base', numeric: true });
  return [...circles].sort(
    (a, b) => RANKS[a.state] - RANKS[b.state] || names.compare(a.name, b.name),
  );
}

const standing = (one: Member) =>
  one.own ? 0 : one.state === 'invited' ? 3 : one.online && !one.blocked ? 1 : 2;

/** This computer first, then those who are there; the service's order, by rank, among them. */
export function orderedMembers(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => standing(a) - standing(b));
}

/** Those whose name, own name, address or key hold all words of the search. */
export function matchingMembers(members: readonly Member[], search: string): Member[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return members.filter(({ party, address }) => {
    const text = [party.name, party.label, party.key, address].join('\n').toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** States in which there is nothing to be asked for by a link. */
const PENDING = ['member', 'invited', 'asking', 'waiting'] as const;

export function pendingOf(state: CircleState | null): (typeof PENDING)[number] | undefined {
  return PENDING.find((one) => one === state);
}
