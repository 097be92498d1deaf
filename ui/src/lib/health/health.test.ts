import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { CONDITIONS } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import type { LogPage } from '../api/protocol';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import { asked } from './checks';
import { Logbook, POLL_MS } from './logbook.svelte';

/** Whether the person wants nothing to move; then all answers are there at once. */
let calm = true;
beforeEach(() => {
  calm = true;
  vi.spyOn(window, 'matchMedia').mockImplementation(
    (media) =>
      ({
        matches: calm && media.includes('reduced-motion'),
        media,
        addEventListener: () => undefined,
        removeEventListener: () => undefined,
      }) as unknown as MediaQueryList,
  );
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

async function open(scene = 'normal', tab: 'check' | 'log' = 'check') {
  const backend = new MockBackend(readScenario(`?scene=${scene}&frozen`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go('health', { tab });
  render(App, { props: { app } });
  const view = within(await screen.findByTestId('view-health'));
  return { app, backend, view, user: userEvent.setup() };
}

const verdict = (state: string) =>
  waitFor(() => {
    const found = screen.getByTestId('verdict');
    expect(found.dataset['state']).toBe(state);
    return within(found);
  });

describe('the check', () => {
  it('says that everything works, with a line for each question', async () => {
    const { view } = await open();
    const headline = await verdict('ok');
    expect(headline.getByText(t('health.fine'))).toBeTruthy();
    for (const question of asked) {
      expect(view.getByTestId(`check-${question}`).dataset['state']).toBe('ok');
    }
    expect(view.queryByTestId('verdict-remedy')).toBeNull();
  });

  it('names what is wrong first, and opens what helps', async () => {
    const { app, user } = await open('empty');
    const headline = await verdict('error');
    expect(headline.getByText(t('condition.no_peers_configured'))).toBeTruthy();
    await user.click(headline.getByTestId('verdict-remedy'));
    expect(app.navigation.sheet).toEqual({ kind: 'choose_peers' });
  });

  it('connects a node that is off, and looks again', async () => {
    const { app, view, user } = await open('down');
    const headline = await verdict('info');
    expect(view.getByTestId('check-proof').textContent).toContain(t('health.unknown.down'));
    await user.click(headline.getByTestId('verdict-remedy'));
    await waitFor(() => expect(app.service.phase).toBe('connected'), { timeout: 3000 });
    await verdict('ok');
  });

  it('starts a service that is stopped, and then has all answers', async () => {
    const { view, user } = await open('stopped');
    const headline = await verdict('error');
    expect(headline.getByText(t('condition.stopped'))).toBeTruthy();
    expect(view.getByTestId('check-peers').dataset['state']).toBe('unknown');
    expect(view.getByTestId<HTMLButtonElement>('make-report').disabled).toBe(true);
    await user.click(headline.getByTestId('verdict-remedy'));
    await verdict('ok');
    expect(view.getByTestId('check-peers').dataset['state']).toBe('ok');
  });

  it('gives the command to somebody without permission', async () => {
    const { backend, user } = await open('no_permission');
    const headline = await verdict('error');
    await user.click(headline.getByTestId('verdict-remedy'));
    await waitFor(() => expect(backend.copied).toEqual(['sudo usermod -aG planetary "$USER"']));
  });

  it('shows the words of the service on demand', async () => {
    const { view, user } = await open('degraded');
    await verdict('warning');
    const line = within(view.getByTestId('check-peers'));
    expect(line.queryByText(CONDITIONS.peer_down.text, { exact: false })).toBeNull();
    const title = t('condition.peer_down');
    await user.click(line.getByRole('button', { name: t('health.details.of', { title }) }));
    expect(line.getByText(CONDITIONS.peer_down.text, { exact: false })).toBeTruthy();
  });

  it('goes through the questions in their order, in less than two seconds', async () => {
    calm = false;
    vi.useFakeTimers();
    const { view } = await open();
    await vi.advanceTimersByTimeAsync(130);
    expect(view.getByTestId('check-service')).toBeTruthy();
    expect(view.queryByTestId('check-room')).toBeNull();
    expect(view.getByTestId('verdict').dataset['state']).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1850);
    expect(view.getByTestId('check-room')).toBeTruthy();
    expect(view.getByTestId('verdict').dataset['state']).toBe('ok');
  });

  it('says when the service does not finish its checks', async () => {
    const { backend, view, user } = await open();
    await verdict('ok');
    const failure = { code: 'deadline_exceeded', message: 'it took too long', hint: null };
    vi.spyOn(backend, 'ask').mockRejectedValue(failure);
    await user.click(view.getByTestId('check-again'));
    const headline = await verdict('error');
    expect(headline.getByText(t('condition.deadline_exceeded'))).toBeTruthy();
  });

  it('tells that app and service are of different releases', async () => {
    const { backend, view, user } = await open();
    await verdict('ok');
    const about = await backend.about();
    vi.spyOn(backend, 'about').mockResolvedValue({ ...about, service_version: '0.0.9' });
    await user.click(view.getByTestId('check-again'));
    await view.findByText(t('condition.version_differs'));
  });

  it('waits while the service is looked for', async () => {
    const { view } = await open('loading');
    expect(view.getByTestId('loading')).toBeTruthy();
    expect(view.queryByTestId('verdict')).toBeNull();
  });
});

describe('how far', () => {
  const measure = async (wish: string, scene?: string) => {
    const opened = await open(scene);
    await waitFor(() => expect(opened.app.friends.list).not.toBeNull());
    const panel = within(opened.view.getByTestId('how-far'));
    if (wish) await opened.user.type(panel.getByTestId('far-target'), wish);
    await opened.user.click(panel.getByTestId('far-measure'));
    return { ...opened, panel };
  };

  it('measures a friend by the name', async () => {
    const { panel } = await measure('ada');
    const result = await panel.findByTestId('far-result');
    expect(result.textContent).toMatch(/^Ada is near: 4\d\sms$/);
    expect(panel.getByText(t('health.far.lost.value', { lost: 0, sent: 5 }))).toBeTruthy();
  });

  it('knows a friend that is linked directly', async () => {
    const { panel } = await measure('Aurelie');
    await panel.findByText(t('health.far.way.direct'));
  });

  it('says when nobody answers', async () => {
    const { panel } = await measure('grandma');
    await panel.findByText(t('health.far.silent', { name: 'Grandma' }));
    expect(panel.getByText(t('health.far.silent.text'))).toBeTruthy();
  });

  it('does not ask five times for somebody who is not found', async () => {
    const { panel } = await measure('200:1:2:3:4:5:6:7');
    await panel.findByText(t('health.far.lost.value', { lost: 1, sent: 1 }));
  });

  it('says what can be typed', async () => {
    const { panel, user } = await measure('');
    expect(panel.getByText(t('health.far.empty'))).toBeTruthy();
    await user.type(panel.getByTestId('far-target'), 'nobody at all{Enter}');
    await panel.findByText(t('health.far.unknown_target'));
  });
});

describe('the log', () => {
  it('shows lines by level and by what is in them', async () => {
    const { view, user } = await open('normal', 'log');
    const list = within(await view.findByTestId('log-lines'));
    const all = list.getAllByRole('listitem').length;
    await user.click(view.getByTestId('log-info'));
    await waitFor(() => expect(list.getAllByRole('listitem').length).toBeLessThan(all));
    await user.type(view.getByTestId('log-filter'), 'PEER_TIMEOUT');
    await waitFor(() => expect(list.getAllByRole('listitem')).toHaveLength(1));
    await user.clear(view.getByTestId('log-filter'));
    await user.type(view.getByTestId('log-filter'), 'nothing has this');
    await user.click(await view.findByRole('button', { name: t('health.log.none.reset') }));
    expect(within(view.getByTestId('log-lines')).getAllByRole('listitem')).toHaveLength(all);
  });

  it('shows the chosen line in full, by keyboard too', async () => {
    const { view, user } = await open('normal', 'log');
    const list = await view.findByTestId('log-lines');
    list.focus();
    await user.keyboard('{Home}');
    const detail = await view.findByTestId('log-detail');
    expect(detail.textContent).toContain('service started version=0.1.0');
    expect(detail.textContent).toContain('planetaryd::lifecycle');
    expect(view.getByTestId('log-follow').getAttribute('aria-pressed')).toBe('false');
    await user.keyboard('{ArrowDown}');
    expect(view.getByTestId('log-detail').textContent).toContain('interface opened');
  });

  it('copies what is shown', async () => {
    const { backend, view, user } = await open('normal', 'log');
    await view.findByTestId('log-lines');
    await user.type(view.getByTestId('log-filter'), 'listening');
    await user.click(view.getByTestId('log-copy'));
    await waitFor(() => expect(backend.copied).toHaveLength(1));
    expect(backend.copied[0]).toMatch(/ INFO planetary_runtime::links: listening uri=/);
  });

  it('says that the service is away', async () => {
    const { view } = await open('stopped', 'log');
    await view.findByTestId('service-away');
    expect(view.queryByTestId('log-lines')).toBeNull();
  });
});

describe('the logbook', () => {
  const empty: LogPage & { type: 'logs' } = { type: 'logs', lines: [], last: 10, lost: 0 };

  it('reads on every two seconds until it is let go, and not while paused', async () => {
    vi.useFakeTimers();
    const backend = new MockBackend(readScenario('?frozen'));
    const ask = vi.spyOn(backend, 'ask');
    const logbook = new Logbook(backend);
    const stop = logbook.follow();
    await vi.advanceTimersByTimeAsync(2 * POLL_MS);
    expect(ask).toHaveBeenCalledTimes(3);
    expect(ask).toHaveBeenLastCalledWith({ type: 'logs', after: 10, level: 'info' });
    logbook.paused = true;
    await vi.advanceTimersByTimeAsync(2 * POLL_MS);
    expect(ask).toHaveBeenCalledTimes(3);
    logbook.paused = false;
    stop();
    await vi.advanceTimersByTimeAsync(2 * POLL_MS);
    expect(ask).toHaveBeenCalledTimes(3);
  });

  it('does not ask while the window is hidden', async () => {
    vi.useFakeTimers();
    const backend = new MockBackend(readScenario('?frozen'));
    const ask = vi.spyOn(backend, 'ask');
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden');
    const stop = new Logbook(backend).follow();
    await vi.advanceTimersByTimeAsync(2 * POLL_MS);
    expect(ask).not.toHaveBeenCalled();
    stop();
  });

  it('begins anew after the service was away', async () => {
    const backend = new MockBackend(readScenario('?frozen'));
    const logbook = new Logbook(backend);
    await logbook.read();
    expect(logbook.entries).toHaveLength(10);
    logbook.lost();
    await logbook.read();
    expect(logbook.entries).toHaveLength(10);
  });

  it('keeps what it has while nothing is new, and says why it cannot read', async () => {
    const backend = new MockBackend(readScenario('?frozen'));
    const logbook = new Logbook(backend);
    await logbook.read();
    const before = logbook.entries;
    vi.spyOn(backend, 'ask').mockResolvedValueOnce(empty);
    await logbook.read();
    expect(logbook.entries).toBe(before);
    const failure = { code: 'connection_lost', message: 'gone', hint: null };
    vi.spyOn(backend, 'ask').mockRejectedValueOnce(failure);
    await logbook.read();
    expect(logbook.failure).toEqual(failure);
    expect(logbook.entries).toBe(before);
  });
});

describe('the report', () => {
  it('is shown whole before it is copied or saved', async () => {
    const { backend, view, user } = await open();
    await user.click(view.getByTestId('make-report'));
    const text = (await screen.findByTestId('report-text')).textContent;
    expect(text).toContain('Planetary Network report');
    expect(backend.saved).toEqual([]);
    await user.click(screen.getByTestId('report-copy'));
    await waitFor(() => expect(backend.copied).toEqual([text]));
    await user.click(screen.getByTestId('report-save'));
    await waitFor(() => expect(backend.saved).toHaveLength(1));
    expect(backend.saved[0]).toMatchObject({ kind: 'text', data: text });
    expect(backend.saved[0]?.name).toMatch(/^planetary-report-.*\.txt$/);
  });

  it('says why there is none and tries again', async () => {
    const { app, backend } = await open();
    await verdict('ok');
    const failure = { code: 'deadline_exceeded', message: 'it took too long', hint: null };
    vi.spyOn(backend, 'ask').mockRejectedValueOnce(failure);
    app.navigation.open({ kind: 'report' });
    const user = userEvent.setup();
    await user.click(await screen.findByRole('button', { name: t('common.retry') }));
    await screen.findByTestId('report-text');
  });
});
