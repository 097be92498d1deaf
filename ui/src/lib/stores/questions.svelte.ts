// What only the person can answer: somebody knocks, a guest wants to join. It comes with the status.

import type { Backend } from '../api/backend';
import type { Answer, Question } from '../api/protocol';
import type { Service } from './service.svelte';

export class Questions {
  /** Answered here, and still in the last status perhaps. */
  #answered = $state.raw<ReadonlySet<number>>(new Set());
  /** Put aside: they wait without being shown. */
  #aside = $state.raw<ReadonlySet<number>>(new Set());
  /** Grows when the person asks for the questions, from the tray, a notification or the keyboard. */
  wished = $state(0);

  readonly waiting: readonly Question[] = $derived.by(() => {
    const { ready, status, time } = this.service;
    if (!ready || !status) return [];
    return status.questions.filter(({ id, until }) => until > time && !this.#answered.has(id));
  });
  /** Those to show, the one that is over soonest first. */
  readonly shown: readonly Question[] = $derived(
    this.waiting.filter(({ id }) => !this.#aside.has(id)).sort((a, b) => a.until - b.until),
  );

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  start(): () => void {
    return this.service.want('questions');
  }

  async answer(question: number, answer: Answer, circle: string | null = null): Promise<void> {
    this.#answered = new Set([...this.#answered, question]);
    try {
      await this.backend.ask({ type: 'question_answer', question, answer, circle });
    } catch (error) {
      this.#answered = new Set([...this.#answered].filter((id) => id !== question));
      throw error;
    }
  }

  putAside(question: number): void {
    this.#aside = new Set([...this.#aside, question]);
  }

  /** Shows all that wait, and brings the keyboard to them. */
  wish(): void {
    this.#aside = new Set();
    this.wished += 1;
  }
}
