// One run through the checklist. The answers come all at once; they are shown one after the other,
// so that a person can follow what is looked at.

import { isFailure } from '../api/backend';
import type { App } from '../stores/app.svelte';
import { absence, checklist, failed, questions, withoutService, type Line } from './checks';

/** So long each question is on its own: all of them take less than two seconds. */
const STEP_MS = 110;

export class Checkup {
  /** The lines of the last finished asking; `null` before the first. */
  lines = $state.raw<Line[] | null>(null);
  /** How many questions are answered on the page. */
  told = $state(0);
  /** When the checks were made, in the service's time, or `null` when it was not asked. */
  at = $state<number | null>(null);
  readonly running = $derived(this.told < questions.length);
  #run = 0;

  constructor(readonly app: App) {}

  /** Checks everything; `step_ms` is the time between two answers on the page. Without any, the
   * answers of before stay until the new ones are there. */
  async run(step_ms = calm() ? 0 : STEP_MS): Promise<void> {
    const run = ++this.#run;
    if (step_ms > 0 || this.lines === null) this.told = 0;
    const found = await this.#ask();
    if (run !== this.#run) return;
    this.lines = found.lines;
    this.at = found.at;
    if (step_ms === 0) this.told = questions.length;
    while (this.told < questions.length) {
      await new Promise((resolve) => setTimeout(resolve, step_ms));
      if (run !== this.#run) return;
      this.told += 1;
    }
  }

  /** Ends the run that is under way; nothing is shown any more. */
  stop(): void {
    this.#run += 1;
  }

  async #ask(): Promise<{ lines: Line[]; at: number | null }> {
    const { backend, service } = this.app;
    const away = absence(service.connection);
    if (away) return { lines: withoutService(away), at: null };
    try {
      const [{ items, time }, about] = await Promise.all([
        backend.ask({ type: 'doctor' }),
        backend.about(),
      ]);
      const { version, service_version } = about;
      const differs = service_version !== null && service_version !== version;
      const release = {
        code: 'version_differs',
        severity: 'info' as const,
        title: 'version_differs',
        text: `${version} / ${service_version ?? ''}`,
        action: null,
        affects_connectivity: false,
        since: null,
      };
      return { lines: checklist(differs ? [release, ...items] : items), at: time };
    } catch (error) {
      if (!isFailure(error)) throw error;
      return { lines: withoutService(failed(error)), at: null };
    }
  }
}

function calm(): boolean {
  return matchMedia('(prefers-reduced-motion: reduce)').matches;
}
