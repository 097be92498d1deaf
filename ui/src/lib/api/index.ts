// Which door this build has.

import type { Backend } from './backend';

declare const __MOCK__: boolean;

export async function openBackend(): Promise<Backend> {
  if (__MOCK__) {
    const [{ MockBackend }, { readScenario }] = await Promise.all([
      import('./mock/backend'),
      import('./mock/scenario'),
    ]);
    return new MockBackend(readScenario(location.search));
  }
  return (await import('./tauri')).tauri;
}
