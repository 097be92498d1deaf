// One line at the bottom right, with a way back where that makes sense.

import type { Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import { tCode } from '../i18n/index.svelte';

export interface Toast {
  id: number;
  text: string;
  tone: 'plain' | 'bad';
  action: { label: string; run: () => void } | null;
}

/** Long enough to read a line and reach for the button. */
const SHOWN_MS = 7000;
const TOASTS_MAX = 3;

export class Toasts {
  list = $state.raw<Toast[]>([]);
  #next = 1;

  say(text: string, action: Toast['action'] = null, tone: Toast['tone'] = 'plain'): void {
    const id = this.#next++;
    this.list = [...this.list, { id, text, tone, action }].slice(-TOASTS_MAX);
    setTimeout(() => this.close(id), SHOWN_MS);
  }

  /** Says why something was not done, in the person's language where the code is known. */
  fail(error: unknown): void {
    if (isFailure(error)) {
      if (error.code !== 'cancelled') this.say(errorText(error), null, 'bad');
      return;
    }
    this.say(error instanceof Error ? error.message : String(error), null, 'bad');
  }

  close(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

/** What went wrong, in words: those of the catalogue, or the service's own. */
export function errorText(failure: Failure): string {
  return tCode('error', failure.code, failure.message);
}
