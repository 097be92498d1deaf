// Changes that apply at once and say so, with the way back.

import type { SettingsChange } from '$lib/api/protocol';
import type { Preferences } from '$lib/api/shell';
import { t } from '$lib/i18n/index.svelte';
import type { App } from '$lib/stores/app.svelte';

/** What to say about a change: a function, since the language may be what changes. */
type Said = () => string;

export async function changePreferences(
  app: App,
  change: Partial<Preferences>,
  said: Said,
): Promise<void> {
  try {
    const back = await app.preferences.change(change);
    const undo = () => void quietly(app, () => app.preferences.change(back));
    app.toasts.say(said(), { label: t('common.undo'), run: undo });
  } catch (error) {
    app.toasts.fail(error);
  }
}

/** Answers whether it was done. */
export async function changeSettings(
  app: App,
  change: SettingsChange,
  said: Said,
): Promise<boolean> {
  try {
    offerUndo(app, await app.settings.change(change), said());
    return true;
  } catch (error) {
    app.toasts.fail(error);
    return false;
  }
}

/** Says what was done, and takes it back by `back` on demand. */
export function offerUndo(app: App, back: SettingsChange, said: string): void {
  const undo = () => void quietly(app, () => app.settings.change(back));
  const nothing = Object.keys(back).length === 0;
  app.toasts.say(said, nothing ? null : { label: t('common.undo'), run: undo });
}

/** A setting and what it is now, in a few words. */
export function valueSaid(name: string, value: string): string {
  return t('settings.changed', { name, value });
}

async function quietly(app: App, step: () => Promise<unknown>): Promise<void> {
  try {
    await step();
  } catch (error) {
    app.toasts.fail(error);
  }
}
