// What only the person can answer: somebody knocks, a guest wants to join. It comes with the status.

import type { Backend } from '../api/backend';
import type { Answer, Question } from '../api/protocol';
import type { Service } from './service.svelte';

/** Numbers begin anew with the service. */
const keyOf = ({ id, asked_at }: Question) => `${id} ${asked_at}`;

export class Questions {
  /** Answered here, and still in the last status perhaps. */
  #answered = $state.raw<ReadonlySet<string>>(new Set());
  /** Put aside: they wait without being shown. */
  #aside = $state.raw<ReadonlySet<string>>(new Set());
  /** Grows when the person asks for the questions, from the tray, a notification or the keyboard. */
  wished = $state(0);

  readonly waiting: readonly Question[] = $derived.by(() => {
    const { ready, status, time } = this.service;
    if (!ready || !status) return [];
    return status.questions.filter((one) => one.until > time && !this.#answered.has(keyOf(one)));
  });
  /** Those to show, the one that is over soonest first. */
  readonly shown: readonly Question[] = $derived(
    this.waiting.filter((one) => !this.#aside.has(keyOf(one))).sort((a, b) => a.until - b.until),
  );

  constructor(
    readonly backend: Backend,
    readonly service: Service,
  ) {}

  start(): () => void {
    return this.service.want('questions');
  }

  async answer(question: Question, answer: Answer, circle: string | null = null): Promise<void> {
    const key = keyOf(question);
    this.#answered = new Set([...this.#answered, key]);
    try {
      await this.backend.ask({ type: 'question_answer', question: question.id, answer, circle });
    } catch (error) {
      this.#answered = new Set([...this.#answered].filter((one) => one !== key));
      throw error;
    }
  }

  putAside(question: Question): void {
    this.#aside = new Set([...this.#aside, keyOf(question)]);
  }

  /** Shows all that wait, and brings the keyboard to them. */
  wish(): void {
    this.#aside = new Set();
    this.wished += 1;
  }
}
