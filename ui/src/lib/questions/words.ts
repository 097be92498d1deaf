// Questions in words: who asks for what, and what is known of them.

import type { Question, Subject } from '$lib/api/protocol';
import { listed } from '$lib/circles/words';
import { shortKey } from '$lib/format';
import { askedWords } from '$lib/friends/services';
import { t } from '$lib/i18n/index.svelte';

type Knock = Extract<Subject, { kind: 'knock' }>;

/** Who asks: a friend by name; names that others chose in quotes, so that none passes for one. */
export function whoAsks(subject: Subject): string {
  const { name, label } = subject.who;
  if (name !== null) return name;
  if (subject.kind === 'guest') {
    return label === null ? t('question.guest') : t('question.guest.label', { label });
  }
  const circle = subject.circles[0]?.name;
  if (circle === undefined) return t('question.somebody');
  return label === null ? t('question.member', { circle }) : t('question.label', { label, circle });
}

/** A question in one line: `Ada wants to reach port 22 (ssh) on this computer`. */
export function questionWords({ subject }: Question): string {
  const who = whoAsks(subject);
  if (subject.kind === 'guest') return t('notify.guest', { who, circle: subject.circle.name });
  return t('question.knock', { who, service: askedWords(subject.service) });
}

/** What is known of who asks. */
export function knownWords(subject: Subject): string {
  const { who } = subject;
  if (subject.kind === 'guest') {
    return who.name === null
      ? t('question.guest.unknown', { key: shortKey(who.key) })
      : t('question.guest.friend');
  }
  const circles = listed(subject.circles.map(({ name }) => name));
  if (who.name !== null) {
    return circles === '' ? t('question.friend') : t('question.friend.circles', { circles });
  }
  return t('question.unchecked', { key: shortKey(who.key), circles });
}

export function isKnock(question: Question): question is Question & { subject: Knock } {
  return question.subject.kind === 'knock';
}
