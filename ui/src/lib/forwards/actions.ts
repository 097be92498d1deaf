// What changes the forwarded ports: each says what it did, with the way back.

import type { Forward, ForwardRule } from '../api/protocol';
import { t } from '../i18n/index.svelte';
import type { App } from '../stores/app.svelte';
import { ends } from './rule';

/** Says that a port is forwarded, and ends it again when that is wished. */
export function sayForwarded(app: App, added: Forward): void {
  const { from } = ends(added.rule);
  const run = () => void attempt(app, () => app.forwards.remove(added.id));
  app.toasts.say(t('forward.added', { from }), { label: t('common.undo'), run });
}

export async function removeForward(app: App, { id, rule }: Forward): Promise<void> {
  if (!(await attempt(app, () => app.forwards.remove(id)))) return;
  const run = () => void attempt(app, () => addAgain(app, rule));
  const said = t('forward.removed', { from: ends(rule).from });
  app.toasts.say(said, { label: t('common.undo'), run });
}

async function addAgain(app: App, rule: ForwardRule): Promise<void> {
  await app.forwards.add(rule);
}

/** Carries something out and says why when it was not done. Answers whether it was. */
async function attempt(app: App, act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    app.toasts.fail(error);
    return false;
  }
}
