// Which settings the page shows: those that the search found. The rows ask for it themselves, so
// that the groups need not know of the search.

import { getContext, setContext } from 'svelte';
import type { EntryId } from './entries';

const KEY = Symbol('shown settings');
type Shown = () => ReadonlySet<EntryId>;

export function provideShown(shown: Shown): void {
  setContext(KEY, shown);
}

export function useShown(): Shown {
  return getContext<Shown>(KEY);
}
