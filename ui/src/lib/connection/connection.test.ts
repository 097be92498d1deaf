import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { PEERS, status } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import { bestLatency, connectingStep, nextAttempt } from './steps';

async function open(scene: string) {
  const backend = new MockBackend(readScenario(`?scene=${scene}&frozen`));
  const app = new Stores(backend);
  await app.preferences.load();
  render(App, { props: { app } });
  await screen.findByTestId('state-word');
  await new Promise((resolve) => setTimeout(resolve));
  return { app, backend, main: within(screen.getByRole('main')) };
}

describe('steps of connecting', () => {
  const now = status('connecting');
  const up = PEERS.slice(0, 1);

  it('says what is missing, in the order in which it comes', () => {
    expect(connectingStep({ ...now, peers: [] })).toBe('no_peers');
    expect(connectingStep(now)).toBe('dialing');
    expect(connectingStep({ ...now, peers: up })).toBe('placing');
    expect(connectingStep({ ...now, peers: up, root: 'r', coordinates: [] })).toBe('proving');
  });

  it('does not wait for a paused peer', () => {
    const paused = PEERS.filter((peer) => peer.paused);
    expect(connectingStep({ ...now, peers: paused })).toBe('no_peers');
  });

  it('takes the best of the links that are up and not suspect', () => {
    const normal = status('normal');
    expect(bestLatency(normal)).toBe(5.1);
    const suspect = normal.peers.map((peer) => ({ ...peer, suspect: true }));
    expect(bestLatency({ ...normal, peers: suspect })).toBeNull();
  });

  it('finds the next attempt', () => {
    expect(nextAttempt(status('offline'))).toBe(8);
    expect(nextAttempt({ ...now, peers: [] })).toBeNull();
  });
});

describe('Home', () => {
  it('shows the proven state, the address and who can reach this computer', async () => {
    const { main } = await open('normal');
    expect(main.getByTestId('state-word').textContent).toBe(t('state.connected'));
    expect(main.getByTestId('own-address').textContent).toBe(status('normal').address);
    expect(main.getByRole('switch').getAttribute('aria-checked')).toBe('true');
    expect(main.getByText(t('home.access.closed'))).toBeTruthy();
  });

  it('switches off and on', async () => {
    const { main, app } = await open('normal');
    await userEvent.click(main.getByTestId('connect-toggle'));
    expect(await main.findByText(t('state.down'))).toBeTruthy();
    await userEvent.click(main.getByTestId('connect-toggle'));
    expect(await main.findByText(t('state.connecting'))).toBeTruthy();
    expect(app.service.failure).toBeNull();
  });

  it('reveals subnet and key on demand', async () => {
    const { main } = await open('normal');
    expect(main.queryByText(status('normal').subnet)).toBeNull();
    await userEvent.click(main.getByRole('button', { name: t('home.more') }));
    expect(main.getByText(status('normal').subnet)).toBeTruthy();
  });

  it('copies the address and says so', async () => {
    const { main, backend } = await open('normal');
    await userEvent.click(main.getByRole('button', { name: t('home.address.copy') }));
    expect(backend.copied).toEqual([status('normal').address]);
    expect((await screen.findByTestId('toasts')).textContent).toContain(t('copied.address'));
  });

  it.each([
    ['not_installed', 'home.install'],
    ['stopped', 'home.start'],
    ['version_mismatch', 'home.restart'],
  ] as const)('%s offers the step that mends it', async (scene, button) => {
    const { main } = await open(scene);
    expect(main.getByTestId('connect-toggle').hasAttribute('disabled')).toBe(true);
    await userEvent.click(main.getByRole('button', { name: t(button) }));
    expect(await main.findByText(t('state.connected'))).toBeTruthy();
  });

  it('gives the command where the app may do nothing', async () => {
    const { main } = await open('no_permission');
    expect(main.getByTestId('command').textContent).toContain('usermod');
    expect(main.queryByTestId('supervise')).toBeNull();
  });

  it.each(['degraded', 'offline', 'untrusted', 'unreachable'])(
    '%s leads to Health',
    async (scene) => {
      const { main, app } = await open(scene);
      await userEvent.click(main.getByRole('button', { name: t('home.health') }));
      expect(app.navigation.view).toBe('health');
    },
  );

  it('without peers offers a way in', async () => {
    const { main, app } = await open('empty');
    await userEvent.click(main.getByRole('button', { name: t('home.choose_peers') }));
    expect(app.navigation.sheet).toEqual({ kind: 'choose_peers' });
  });

  it('says that it is open when it is', async () => {
    const { main } = await open('open');
    expect(main.getByText(t('home.access.open.detail'))).toBeTruthy();
  });

  it('ends a pause', async () => {
    const { main } = await open('paused');
    await userEvent.click(main.getByRole('button', { name: t('home.access.resume') }));
    expect(await main.findByText(t('home.access.closed'))).toBeTruthy();
  });
});
