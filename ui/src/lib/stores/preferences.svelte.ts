// What the person wishes of the app itself; the shell keeps it.

import type { Backend } from '../api/backend';
import type { Preferences as Values } from '../api/shell';
import { changeLanguage } from '../i18n/index.svelte';

const DEFAULTS: Values = {
  language: 'system',
  appearance: 'system',
  autostart: false,
  start_minimised: false,
  notifications: true,
  welcomed: true,
};

export class Preferences {
  values = $state.raw<Values>(DEFAULTS);

  constructor(readonly backend: Backend) {}

  async load(): Promise<void> {
    this.values = await this.backend.preferences();
    await this.#apply();
  }

  /** Stores a change and applies it at once; answers with what was before, to undo it. */
  async change(change: Partial<Values>): Promise<Partial<Values>> {
    const names = Object.keys(change) as (keyof Values)[];
    const before = Object.fromEntries(names.map((name) => [name, this.values[name]]));
    this.values = await this.backend.changePreferences(change);
    await this.#apply();
    return before;
  }

  async #apply() {
    const { appearance, language } = this.values;
    if (appearance === 'system') delete document.documentElement.dataset['appearance'];
    else document.documentElement.dataset['appearance'] = appearance;
    await changeLanguage(language);
  }
}
