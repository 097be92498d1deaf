// What lies over everything. A sheet makes the rest of the page inert, so it shows this itself.

import { getContext, setContext, type Component } from 'svelte';

const KEY = Symbol('overlay');

export function provideOverlay(overlay: Component): void {
  setContext(KEY, overlay);
}

export function useOverlay(): Component | undefined {
  return getContext<Component | undefined>(KEY);
}
