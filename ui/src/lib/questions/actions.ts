// Answers, each with its word afterwards: what holds from here on, and a way back where there is
// one.

import type { Answer, CircleRef, Question, Subject } from '$lib/api/protocol';
import { attempt } from '$lib/friends/actions';
import { askedWords } from '$lib/friends/services';
import { t } from '$lib/i18n/index.svelte';
import type { App } from '$lib/stores/app.svelte';
import { whoAsks } from './words';

type Knock = Extract<Subject, { kind: 'knock' }>;

function say(app: App, text: string, undo?: () => Promise<unknown>): void {
  const back = undo && { label: t('common.undo'), run: () => void attempt(app, undo) };
  app.toasts.say(text, back ?? null);
}

export async function answerKnock(
  app: App,
  question: Question & { subject: Knock },
  answer: Exclude<Answer, 'yes'>,
  circle: CircleRef | null = null,
): Promise<boolean> {
  const done = await attempt(app, () => app.questions.answer(question, answer, circle?.id ?? null));
  if (!done) return false;
  const { subject } = question;
  const values = { who: whoAsks(subject), service: askedWords(subject.service) };
  if (answer === 'always') {
    say(app, t('question.said.always', values), closeTo(app, subject));
  } else if (answer === 'circle' && circle) {
    say(app, t('question.said.circle', { ...values, circle: circle.name }), () =>
      app.circles.access(circle.id, { deny: [subject.service] }),
    );
  } else if (answer === 'once') say(app, t('question.said.once', values));
  else say(app, t('question.said.no', values));
  return true;
}

/** How *always* is taken back; not at all from a member whose circle is not known. */
function closeTo(app: App, { who, circles, service }: Knock) {
  const deny = [service];
  if (app.friends.find(who.key)) return () => app.friends.change(who.key, { deny });
  const [circle] = circles;
  return circle && (() => app.circles.memberAccess(circle.id, who.key, { deny }));
}

export async function answerGuest(app: App, question: Question, yes: boolean): Promise<boolean> {
  const { subject } = question;
  if (subject.kind !== 'guest') return false;
  const done = await attempt(app, () => app.questions.answer(question, yes ? 'yes' : 'no'));
  if (done) {
    const values = { who: whoAsks(subject), circle: subject.circle.name };
    say(app, t(yes ? 'question.said.yes' : 'question.said.guest_no', values));
  }
  return done;
}
