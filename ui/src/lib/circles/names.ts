// What can be the name of a circle, and what this computer can call itself to one.

import type { Circle } from '$lib/api/protocol';
import { nameTrouble, type NameTrouble } from '$lib/friends/names';
import { t } from '$lib/i18n/index.svelte';

/** What is wrong with a name for the circle `own` (`null` for a new one), in words, or `null`. */
export function circleNameError(
  typed: string,
  circles: readonly Circle[],
  own: string | null,
): string | null {
  const trouble = nameTrouble(typed, []) ?? taken(typed, circles, own);
  return trouble && t(`circle.name.${trouble}`);
}

/** Two circles of one name can be, but not by one's own wish: nobody could tell them apart. */
function taken(typed: string, circles: readonly Circle[], own: string | null): NameTrouble | null {
  const folded = typed.trim().toLowerCase();
  const same = circles.some(({ id, name }) => id !== own && name.toLowerCase() === folded);
  return same ? 'taken' : null;
}

/** What is wrong with what this computer is to call itself, in words, or `null`. */
export function labelError(typed: string): string | null {
  const trouble = nameTrouble(typed, []);
  return trouble && trouble !== 'empty' ? t(`friend.name.${trouble}`) : null;
}
