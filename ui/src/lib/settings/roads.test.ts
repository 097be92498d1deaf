import { screen, waitFor, within } from '@testing-library/svelte';
import { beforeEach, describe, expect, it } from 'vitest';
import { open } from '../../test-app';
import { changeLanguage, t } from '../i18n/index.svelte';

beforeEach(() => changeLanguage('en'));

const undo = () => screen.getByRole('button', { name: t('common.undo') });
const CAFE = 'Harbour Cafe';

describe('local networks', () => {
  const states = () =>
    screen.queryAllByTestId('lan-interface').map((row) => row.getAttribute('data-state'));
  const cafe = () =>
    within(screen.getAllByTestId('lan-interface').find((row) => row.textContent.includes(CAFE))!);

  it('say what is done on each, and offer only what can be said', async () => {
    await open('settings', 'lan=every');
    expect(states()).toEqual(['excluded', 'active', 'unknown', 'refused', 'unknown', 'failed']);
    // One whose network cannot be told has no answer either.
    expect(screen.getAllByTestId('lan-look')).toHaveLength(2);
    expect(screen.getAllByTestId('lan-stop')).toHaveLength(2);
    expect(screen.getByText(t('lan.state.unseen'))).toBeTruthy();
  });

  it('are looked on no longer, and again', async () => {
    const { app, user } = await open('settings');
    await user.click(cafe().getByTestId('lan-stop'));
    await waitFor(() => expect(states()).toEqual(['active', 'refused']));
    await user.click(undo());
    await waitFor(() => expect(states()).toEqual(['active', 'active']));
    expect(app.service.status?.lan.interfaces).toHaveLength(2);
  });

  it('are not shown while it is switched off', async () => {
    const { app, user } = await open('settings');
    await user.click(screen.getByTestId('switch-lan'));
    await waitFor(() => expect(app.service.status?.lan.enabled).toBe(false));
    expect(states()).toEqual([]);
    await user.click(undo());
    await waitFor(() => expect(states()).toHaveLength(2));
  });

  it('are asked about on Home, once for each network', async () => {
    const { app, user } = await open('home', 'lan=asked');
    const question = screen.getByTestId('lan-question');
    expect(question.textContent).toContain(CAFE);
    await user.click(screen.getByTestId('lan-no'));
    await waitFor(() => expect(screen.queryByTestId('lan-question')).toBeNull());
    // Nobody was asked before, so there is nothing to go back to but the settings.
    const toast = within(screen.getByTestId('toasts'));
    await user.click(toast.getByRole('button', { name: t('nav.settings') }));
    expect(await screen.findByTestId('setting-lan_networks')).toBeTruthy();
    expect(states()).toEqual(['active', 'refused']);
    app.navigation.go('home');
    expect(await screen.findByTestId('view-home')).toBeTruthy();
    expect(screen.queryByTestId('lan-question')).toBeNull();
  });

  it('are asked about nowhere when all are known', async () => {
    await open('home');
    expect(screen.queryByTestId('lan-question')).toBeNull();
  });
});

describe('what is carried for others', () => {
  it('is chosen at once, and taken back', async () => {
    const { app, user } = await open('settings');
    expect(screen.getByTestId('carried').textContent).toContain('48');
    await user.click(screen.getByTestId('transit-leaf'));
    await waitFor(() => expect(app.service.status?.transit.mode).toBe('leaf'));
    // Less than that cannot be saved.
    expect(screen.getByTestId<HTMLButtonElement>('switch-save_on_battery').disabled).toBe(true);
    await user.click(undo());
    await waitFor(() => expect(app.settings.values?.transit).toBe('reluctant'));
    expect(screen.getByTestId<HTMLButtonElement>('switch-save_on_battery').disabled).toBe(false);
  });

  it('is less on battery, until that is switched off', async () => {
    const { user } = await open('settings', 'saving=battery');
    expect(screen.getByTestId('saving').textContent).toContain(
      t('settings.transit.saving.battery'),
    );
    await user.click(screen.getByTestId('switch-save_on_battery'));
    await waitFor(() => expect(screen.queryByTestId('saving')).toBeNull());
  });
});

describe('proxies', () => {
  it('are switched on at their usual address, which is copied', async () => {
    const { app, backend, user } = await open('settings');
    await user.click(screen.getByTestId('switch-gateway_socks'));
    await waitFor(() => expect(app.service.status?.gateway.socks?.up).toBe(true));
    await user.click(await screen.findByTestId('gateway_socks-copy'));
    expect(backend.copied).toEqual(['127.0.0.1:1080']);
    await user.click(screen.getByTestId('switch-gateway_socks'));
    await waitFor(() => expect(app.service.status?.gateway.socks).toBeNull());
  });

  it('move to another port of this computer, and nowhere else', async () => {
    const { app, user } = await open('settings', 'gateway=user_space');
    expect(screen.getByTestId('user-space').textContent).toContain('127.0.0.1:5380');
    const field = screen.getByTestId('gateway_socks-address');
    await user.clear(field);
    await user.type(field, '0.0.0.0:1080{Enter}');
    expect(screen.getByText(t('settings.local.invalid'))).toBeTruthy();
    await user.clear(field);
    await user.type(field, '9150{Enter}');
    await waitFor(() => expect(app.settings.values?.gateway_socks).toBe('127.0.0.1:9150'));
    await user.click(undo());
    await waitFor(() => expect(app.settings.values?.gateway_socks).toBe('127.0.0.1:1080'));
  });

  it('say why they do not listen', async () => {
    const { user } = await open('settings', 'gateway=user_space');
    const field = screen.getByTestId('gateway_socks-address');
    await user.clear(field);
    await user.type(field, '631{Enter}');
    const where = within(screen.getByTestId('gateway_socks-where'));
    expect(await where.findByText(t('forward_error.address_in_use'))).toBeTruthy();
  });
});

describe('figures for Prometheus', () => {
  it('are copied as what a program is told', async () => {
    const { backend, user } = await open('settings');
    await user.click(screen.getByTestId('switch-metrics'));
    await user.click(await screen.findByTestId('metrics-copy'));
    expect(backend.copied).toEqual(['http://127.0.0.1:9090/metrics']);
  });
});

describe('forwarded ports', () => {
  const rows = () => screen.queryAllByTestId('forward').map((row) => row.textContent);

  it('say what runs through them, and what is wrong', async () => {
    await open('settings');
    const [first, , third] = rows();
    expect(first).toContain(t('forward.open', { connections: 2 }));
    expect(third).toContain(t('forward_error.address_in_use'));
  });

  it('are removed and brought back', async () => {
    const { user } = await open('settings');
    await user.click(screen.getAllByTestId('forward-remove')[0]!);
    await waitFor(() => expect(rows()).toHaveLength(2));
    await user.click(undo());
    await waitFor(() => expect(rows()).toHaveLength(3));
    expect(rows().at(-1)).toContain('home-server.pln.internal:80');
  });

  it('are added from a sheet that says what that does', async () => {
    const { app, user } = await open('settings');
    await user.click(screen.getByTestId('add-forward'));
    const submit = () => screen.getByTestId<HTMLButtonElement>('forward-submit');
    await user.type(screen.getByTestId('forward-here'), '8080');
    await user.type(screen.getByTestId('forward-host'), 'www.example.org');
    await user.type(screen.getByTestId('forward-port'), '80');
    const there = t('forward.problem.not_there', { suffix: 'pln.internal' });
    expect(screen.getByText(there)).toBeTruthy();
    expect(submit().disabled).toBe(true);
    await user.clear(screen.getByTestId('forward-host'));
    await user.type(screen.getByTestId('forward-host'), 'ada.pln.internal');
    const said = { from: '127.0.0.1:8080', to: 'ada.pln.internal:80' };
    expect(screen.getByTestId('forward-told').textContent).toContain(t('forward.told.out', said));
    await user.click(submit());
    await waitFor(() => expect(rows()).toHaveLength(4));
    expect(app.navigation.sheet).toBeNull();
    await user.click(undo());
    await waitFor(() => expect(rows()).toHaveLength(3));
  });

  it('keep what was typed when the service refuses', async () => {
    const { user } = await open('settings');
    await user.click(screen.getByTestId('add-forward'));
    await user.click(screen.getByTestId('forward-way-in'));
    expect(screen.getByText(t('forward.who'))).toBeTruthy();
    await user.type(screen.getByTestId('forward-port'), '8000');
    await user.type(screen.getByTestId('forward-here'), '4000');
    await user.click(screen.getByTestId('forward-submit'));
    expect(await screen.findByText(t('error.forward_exists'))).toBeTruthy();
    await user.type(screen.getByTestId('forward-port'), '{Backspace}1');
    expect(screen.queryByTestId('forward-refused')).toBeNull();
    await user.click(screen.getByTestId('forward-submit'));
    await waitFor(() => expect(rows()).toHaveLength(4));
  });

  it('wait while the node is off', async () => {
    await open('settings', 'scene=down');
    expect(rows().every((row) => row.includes(t('settings.local.off')))).toBe(true);
    expect(rows()).toHaveLength(3);
  });
});
