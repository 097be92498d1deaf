import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { FRIENDS, PEERS, status } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import { VIEWS } from '../stores/navigation.svelte';
import { settings } from './entries';
import { everything } from './found';

beforeAll(() => {
  Element.prototype.scrollIntoView = vi.fn();
});

async function open(scene = 'normal') {
  const backend = new MockBackend(readScenario(`?scene=${scene}&frozen`));
  const app = new Stores(backend);
  await app.preferences.load();
  const stop = app.start();
  await waitFor(() => expect(app.service.phase).not.toBe('loading'));
  await new Promise((resolve) => setTimeout(resolve));
  return { app, backend, stop };
}

async function shown(scene = 'normal') {
  const opened = await open(scene);
  opened.stop();
  render(App, { props: { app: opened.app } });
  const user = userEvent.setup();
  await user.keyboard('{Control>}k{/Control}');
  const palette = within(await screen.findByTestId('palette'));
  return { ...opened, user, palette, field: palette.getByRole('combobox') };
}

describe('everything', () => {
  it('has every view, peer, friend and setting, each once', async () => {
    const { app } = await open();
    const ids = everything(app).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(VIEWS.map((view) => `view.${view}`)));
    expect(ids).toEqual(expect.arrayContaining(PEERS.map(({ link }) => `peer.${link}`)));
    expect(ids).toEqual(expect.arrayContaining(FRIENDS.map(({ key }) => `friend.${key}`)));
    expect(ids).toEqual(expect.arrayContaining(settings.map(({ focus }) => `setting.${focus}`)));
  });

  it('offers what can be done now and nothing else', async () => {
    const actions = async (scene: string) =>
      everything((await open(scene)).app)
        .filter(({ group }) => group === 'action')
        .map(({ id }) => id);
    expect(await actions('normal')).toContain('action.disconnect');
    expect(await actions('normal')).not.toContain('action.connect');
    expect(await actions('down')).toContain('action.connect');
    expect(await actions('normal')).toContain('action.pause');
    expect(await actions('paused')).toContain('action.resume');
    const away = await actions('stopped');
    expect(away).toEqual(['action.check', 'action.light', 'action.dark']);
  });

  it('pauses for an hour and takes it back', async () => {
    const { app } = await open();
    const find = (id: string) => everything(app).find((one) => one.id === id);
    find('action.pause')?.run();
    await waitFor(() => expect(app.service.status?.access.paused).not.toBeNull());
    const until = app.service.status?.access.paused?.until ?? 0;
    expect(until - (app.service.status?.time ?? 0)).toBe(3600);
    find('action.resume')?.run();
    await waitFor(() => expect(app.service.status?.access.paused).toBeNull());
  });
});

describe('Palette', () => {
  it('opens with Ctrl+K, with the focus in the field, and closes with the same keys', async () => {
    const { user, field } = await shown();
    field.focus();
    expect(field.getAttribute('aria-expanded')).toBe('true');
    await user.keyboard('{Control>}k{/Control}');
    expect(screen.queryByTestId('palette')).toBeNull();
  });

  it('goes through the list with the arrows and round its ends', async () => {
    const { user, field, palette } = await shown();
    const chosen = () => palette.getAllByRole('option', { selected: true });
    const options = palette.getAllByRole('option');
    await user.click(field);
    expect(chosen()).toEqual([options[0]]);
    await user.keyboard('{ArrowDown}{ArrowDown}');
    expect(chosen()).toEqual([options[2]]);
    expect(field.getAttribute('aria-activedescendant')).toBe(options[2]?.id);
    await user.keyboard('{ArrowUp}{ArrowUp}{ArrowUp}');
    expect(chosen()).toEqual([options.at(-1)]);
    await user.keyboard('{ArrowDown}');
    expect(chosen()).toEqual([options[0]]);
  });

  it('opens a view by its name', async () => {
    const { app, user, field } = await shown();
    await user.type(field, 'heal{Enter}');
    expect(app.navigation.view).toBe('health');
    expect(app.navigation.palette).toBe(false);
  });

  it('opens a friend and a peer in their sheets', async () => {
    const { app, user, field } = await shown();
    await user.type(field, 'grandma{Enter}');
    const key = FRIENDS.find(({ name }) => name === 'Grandma')?.key;
    expect(app.navigation.sheet).toEqual({ kind: 'friend', key });
    app.navigation.close();
    app.navigation.palette = true;
    await user.type(await screen.findByRole('combobox'), 'strasbourg{Enter}');
    expect(app.navigation.view).toBe('peers');
    expect(app.navigation.sheet).toEqual({ kind: 'peer', link: 2 });
  });

  it('brings a setting into sight', async () => {
    const { app, user, field } = await shown();
    await user.type(field, 'passphrase{Enter}');
    expect(app.navigation.view).toBe('settings');
    const setting = await screen.findByTestId('setting-backup');
    expect(setting.className).toContain('wanted');
  });

  it('copies the address and says so', async () => {
    const { app, backend, user, field } = await shown();
    await user.type(field, 'copy address{Enter}');
    await waitFor(() => expect(backend.copied).toEqual([status('normal').address]));
    expect(app.toasts.list.at(-1)?.text).toBe(t('copied.address'));
  });

  it('changes the appearance, with a way back', async () => {
    const { app, user, field } = await shown();
    await user.type(field, 'dark{Enter}');
    await waitFor(() => expect(app.preferences.values.appearance).toBe('dark'));
    app.toasts.list.at(-1)?.action?.run();
    await waitFor(() => expect(app.preferences.values.appearance).toBe('system'));
  });

  it('says when nothing is found, and takes what was typed for text', async () => {
    const { user, field, palette } = await shown();
    await user.type(field, '<b>qqqq');
    expect(palette.getByText(t('palette.none', { query: '<b>qqqq' }))).toBeTruthy();
    expect(palette.queryAllByRole('option')).toEqual([]);
    await user.keyboard('{Enter}');
    expect(screen.getByTestId('palette')).toBeTruthy();
  });
});
