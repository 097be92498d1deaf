import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import type { Question, Subject } from '../api/protocol';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import KnockAnswers from './KnockAnswers.svelte';
import { knownWords, questionWords } from './words';

const settled = () => new Promise((resolve) => setTimeout(resolve));

async function open(query: string) {
  const backend = new MockBackend(readScenario(`?frozen&${query}`));
  const app = new Stores(backend);
  await app.preferences.load();
  render(App, { props: { app } });
  await settled();
  await settled();
  return { app, backend };
}

const cards = () => screen.queryAllByTestId('question');
const said = () => screen.getByTestId('toasts').textContent ?? '';
const ada = (app: Stores) => app.friends.list?.find(({ name }) => name === 'Ada');

describe('Questions', () => {
  it('are shown with who asks for what, and take no focus', async () => {
    const before = document.activeElement;
    const { app } = await open('questions=knock');
    const [card] = cards();
    expect(card?.textContent).toContain(
      'Ada wants to reach port 5900 (screen sharing) on this computer',
    );
    expect(card?.textContent).toContain('One of your friends, also in Climbing club.');
    expect(card?.textContent).toMatch(/\d+\ss left/);
    expect(document.activeElement).toBe(before);
    const spoken = screen.getByTestId('questions-spoken').textContent;
    expect(spoken).toContain('Press F6 to answer');
    expect(app.questions.waiting).toHaveLength(1);
  });

  it('open a service from now on, and close it again when that is taken back', async () => {
    const { app } = await open('questions=knock');
    await userEvent.click(screen.getByTestId('answer-always'));
    await settled();
    expect(cards()).toHaveLength(0);
    expect(ada(app)?.services).toContain('tcp/5900');
    expect(said()).toContain(
      t('question.said.always', { who: 'Ada', service: 'port 5900 (screen sharing)' }),
    );
    await userEvent.click(screen.getByRole('button', { name: t('common.undo') }));
    await settled();
    expect(ada(app)?.services).not.toContain('tcp/5900');
    expect(ada(app)?.services).toContain('tcp/22');
  });

  it('open a service to a whole circle, and close it again when that is taken back', async () => {
    const { app } = await open('questions=knock');
    await userEvent.click(screen.getByRole('button', { name: /Climbing club/ }));
    await settled();
    const club = () => app.circles.list?.find(({ name }) => name === 'Climbing club');
    expect(club()?.access.services).toContain('tcp/5900');
    expect(ada(app)?.services).not.toContain('tcp/5900');
    await userEvent.click(screen.getByRole('button', { name: t('common.undo') }));
    await settled();
    expect(club()?.access.services).not.toContain('tcp/5900');
  });

  it('open nothing that lasts by a single time, or by no', async () => {
    for (const answer of ['once', 'no'] as const) {
      const { app } = await open('questions=knock');
      const before = ada(app)?.services;
      await userEvent.click(screen.getAllByTestId(`answer-${answer}`)[0] as HTMLElement);
      await settled();
      expect(ada(app)?.services).toEqual(before);
      expect(app.questions.waiting).toHaveLength(0);
      document.body.replaceChildren();
    }
  });

  it('are answered by the keyboard: a key leads there, Enter is no, Escape leads back', async () => {
    const { app } = await open('questions=knock');
    const find = screen.getByTestId('find');
    find.focus();
    await userEvent.keyboard('{F6}');
    expect(document.activeElement).toBe(cards()[0]);
    await userEvent.keyboard('{Escape}');
    expect(document.activeElement).toBe(find);
    expect(cards()).toHaveLength(1);
    await userEvent.keyboard('{F6}{Enter}');
    await settled();
    expect(cards()).toHaveLength(0);
    expect(document.activeElement).toBe(find);
    expect(said()).toContain('was refused');
    expect(ada(app)?.services).not.toContain('tcp/5900');
  });

  it('are answered one after the other by the keyboard', async () => {
    const { app } = await open('questions=several');
    const find = screen.getByTestId('find');
    find.focus();
    await userEvent.keyboard('{F6}');
    for (const left of [2, 1]) {
      await userEvent.keyboard('{Enter}');
      await settled();
      expect(cards()).toHaveLength(left);
      expect(document.activeElement).toBe(cards()[0]);
    }
    await userEvent.keyboard('{Escape}');
    expect(document.activeElement).toBe(find);
    expect(app.questions.waiting).toHaveLength(1);
  });

  it('let a guest into the circle, whom its members see then', async () => {
    const { app } = await open('questions=guest');
    expect(cards()[0]?.textContent).toContain('A guest called “Robin” wants to join Family');
    const family = app.circles.list?.find(({ name }) => name === 'Family')?.id ?? '';
    const forget = app.circles.want(family);
    await userEvent.click(screen.getByTestId('answer-yes'));
    await settled();
    await app.circles.load();
    const labels = app.circles.details.get(family)?.members.map(({ party }) => party.label);
    expect(labels).toContain('Robin');
    forget();
  });

  it('of guests can be put aside, and are found again', async () => {
    await open('questions=several');
    expect(cards()).toHaveLength(3);
    const guest = cards().find((one) => one.dataset.kind === 'guest') as HTMLElement;
    // What is over soonest comes first.
    expect(cards().at(-1)).toBe(guest);
    await userEvent.click(within(guest).getByRole('button', { name: t('questions.aside') }));
    expect(cards()).toHaveLength(2);
    await userEvent.click(screen.getByTestId('questions-aside'));
    expect(cards()).toHaveLength(3);
  });

  it('are gone when their time is over, and when there is nobody to answer to', async () => {
    const { app, backend } = await open('questions=several');
    for (let second = 0; second < 31; second += 1) backend.tick();
    await settled();
    expect(cards().map((one) => one.dataset.kind)).toEqual(['guest']);
    app.service.connection = { state: 'connecting', since: 0 };
    await settled();
    expect(cards()).toHaveLength(0);
  });

  it('come back when the answer was not taken', async () => {
    const { app, backend } = await open('questions=knock');
    backend.ask = () =>
      Promise.reject(Object.assign(new Error('no'), { code: 'busy', hint: null }));
    await userEvent.click(screen.getByTestId('answer-always'));
    await settled();
    expect(cards()).toHaveLength(1);
    expect(app.toasts.list.at(-1)?.tone).toBe('bad');
  });

  it('of a service that was started anew are not taken for those before', async () => {
    const { app } = await open('questions=knock');
    const [asked] = app.questions.waiting;
    if (!asked) throw new Error('nothing is asked');
    await userEvent.click(screen.getByTestId('answer-no'));
    await settled();
    const { connection } = app.service;
    if (connection.state !== 'ready') throw new Error('not ready');
    const again = { ...asked, asked_at: asked.asked_at + 5 };
    const status = { ...connection.status, questions: [again] };
    app.service.status = status;
    app.service.connection = { ...connection, status };
    await settled();
    expect(cards()).toHaveLength(1);
  });

  it('ask for attention when the person came for them', async () => {
    const { backend } = await open('questions=knock');
    backend.play('show', { view: 'questions' });
    await settled();
    expect(document.activeElement).toBe(cards()[0]);
  });
});

describe('Answers', () => {
  const circles = [
    { id: '1', name: 'Hikers' },
    { id: '2', name: 'Family' },
  ];

  it('ask which circle where there are several, and lead back', async () => {
    const answers: unknown[] = [];
    const onanswer = (...answer: unknown[]) => answers.push(answer);
    render(KnockAnswers, { props: { circles, disabled: false, onanswer } });
    await userEvent.click(screen.getByTestId('answer-circle'));
    await settled();
    expect(answers).toEqual([]);
    expect(document.activeElement).toBe(screen.getByTestId('answer-back'));
    await userEvent.click(screen.getByTestId('answer-back'));
    await settled();
    expect(document.activeElement).toBe(screen.getByTestId('answer-once'));
    await userEvent.click(screen.getByTestId('answer-circle'));
    await userEvent.click(screen.getByRole('button', { name: 'Family' }));
    expect(answers).toEqual([['circle', circles[1]]]);
  });

  it('have no circle where none is shared', () => {
    render(KnockAnswers, { props: { circles: [], disabled: false, onanswer: () => undefined } });
    expect(screen.queryByTestId('answer-circle')).toBeNull();
    expect(screen.getByTestId('answer-no')).toBeTruthy();
  });
});

describe('Who asks', () => {
  const key = 'ab'.repeat(32);
  const circles = [
    { id: '1', name: 'Hikers' },
    { id: '2', name: 'Family' },
  ];
  const knock = (who: { name: string | null; label: string | null }, common = circles) => {
    const subject: Subject = {
      kind: 'knock',
      who: { key, ...who },
      circles: common,
      service: 'udp/53',
    };
    const question: Question = { id: 1, asked_at: 0, until: 30, subject };
    return [questionWords(question), knownWords(subject)];
  };

  it('is never taken for a friend by a name of its own choice', () => {
    expect(knock({ name: 'Ada', label: 'Bob' })[0]).toMatch(/^Ada wants .*UDP port 53/);
    const [title, known] = knock({ name: null, label: 'Ada' });
    expect(title).toMatch(/^“Ada” of Hikers wants/);
    expect(known).toContain('Nobody has checked its name');
    expect(known).toContain('Hikers and Family');
    expect(knock({ name: null, label: null })[0]).toMatch(/^Somebody of Hikers wants/);
    expect(knock({ name: 'Ada', label: null }, [])[1]).toBe(t('question.friend'));
  });
});
