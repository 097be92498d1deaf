// What waits for an answer of the person, and who was here lately.

import type { ReplyTo } from '../backend';
import { fail } from './refusal';

export function answerQuestion(): never {
  throw fail('question_not_found', 'nothing of this number is asked');
}

export function visits(time: number): ReplyTo<{ type: 'visit_list' }> {
  return { type: 'visits', time, visits: [] };
}
