import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import { changeLanguage, t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';

beforeEach(() => changeLanguage('en'));

async function open(query = '') {
  const backend = new MockBackend(readScenario(`?frozen&${query}`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go('settings');
  render(App, { props: { app } });
  const view = await screen.findByTestId('view-settings');
  await new Promise((resolve) => setTimeout(resolve));
  return { app, backend, view, page: within(view), user: userEvent.setup() };
}

const checked = (name: string, audience: string) =>
  screen.getByTestId<HTMLInputElement>(`${name}-${audience}`).checked;
const undo = () => screen.getByRole('button', { name: t('common.undo') });

describe('what the app itself is told', () => {
  it('applies at once and can be taken back', async () => {
    const { app, page, user } = await open();
    const autostart = page.getByRole('switch', { name: t('settings.autostart') });
    await user.click(autostart);
    await waitFor(() => expect(autostart.getAttribute('aria-checked')).toBe('true'));
    expect(app.preferences.values.autostart).toBe(true);
    await user.click(undo());
    await waitFor(() => expect(autostart.getAttribute('aria-checked')).toBe('false'));
  });

  it('changes the appearance of the page', async () => {
    const { user } = await open();
    await user.click(screen.getByTestId('appearance-dark'));
    await waitFor(() => expect(document.documentElement.dataset['appearance']).toBe('dark'));
    await user.click(undo());
    await waitFor(() => expect(document.documentElement.dataset['appearance']).toBeUndefined());
  });

  it('offers each language in its own name', async () => {
    const { app, page, user } = await open();
    await user.selectOptions(page.getByTestId('language'), 'Deutsch');
    await waitFor(() => expect(document.documentElement.lang).toBe('de'));
    expect(app.preferences.values.language).toBe('de');
  });
});

describe('names of friends', () => {
  const state = () => screen.getByTestId('names-state').textContent ?? '';

  it('are switched off and on again', async () => {
    const { app, user } = await open();
    expect(state()).toContain('systemd-resolved');
    await user.click(screen.getByTestId('switch-names'));
    await waitFor(() => expect(app.service.status?.names.state).toBe('off'));
    expect(screen.queryByTestId('names-state')).toBeNull();
    await user.click(undo());
    await waitFor(() => expect(state()).toContain('systemd-resolved'));
  });

  it('come with the command where the system has to be told', async () => {
    const { app, backend, user } = await open('names=answering');
    expect(state()).toContain(app.service.status?.names.server);
    await user.click(screen.getByTestId('names-command'));
    expect(backend.copied.at(-1)).toMatch(/^resolvectl dns [^`]+$/);
  });
});

describe('privacy', () => {
  it('closes at once, says whom that meets, and takes it back', async () => {
    const { app, user } = await open();
    const { friends } = app.service.status!.access;
    await user.click(screen.getByTestId('inbound-nobody'));
    expect(await screen.findByText(t('settings.inbound.closed', { friends }))).toBeTruthy();
    expect(checked('inbound', 'nobody')).toBe(true);
    await user.click(undo());
    await waitFor(() => expect(checked('inbound', 'circles')).toBe(true));
  });

  it('asks before it opens to everyone, with numbers, and No is what is at hand', async () => {
    const { app, user } = await open();
    await user.click(screen.getByTestId('inbound-everyone'));
    await screen.findByRole('alertdialog');
    const { friends } = app.service.status!.access;
    const numbers = t('settings.inbound.ask.friends', { friends });
    expect(screen.getByRole('alertdialog').textContent).toContain(numbers);
    expect(document.activeElement).toBe(screen.getByTestId('ask-inbound-no'));
    expect(checked('inbound', 'circles')).toBe(true);
    await user.keyboard('{Escape}');
    expect(screen.queryByRole('alertdialog')).toBeNull();
    expect(app.settings.values?.inbound).toBe('circles');
  });

  it('opens to everyone when that is confirmed', async () => {
    const { app, user } = await open();
    await user.click(screen.getByTestId('inbound-everyone'));
    await user.click(await screen.findByTestId('ask-inbound-yes'));
    await waitFor(() => expect(checked('inbound', 'everyone')).toBe(true));
    expect(app.service.status?.access.inbound).toBe('everyone');
    // Friends only would take back by the one what the other gives.
    expect(screen.getByTestId<HTMLInputElement>('sessions-circles').disabled).toBe(true);
  });

  it('says that sessions open with it, and does both', async () => {
    const { app, user } = await open();
    await user.click(screen.getByTestId('sessions-circles'));
    await waitFor(() => expect(checked('sessions', 'circles')).toBe(true));
    await user.click(screen.getByTestId('echo-everyone'));
    expect(await screen.findByText(t('settings.ask.sessions'))).toBeTruthy();
    await user.click(screen.getByTestId('ask-echo-yes'));
    await waitFor(() => expect(app.settings.values?.echo).toBe('everyone'));
    expect(app.settings.values?.sessions).toBe('auto');
  });

  it('says that a pause stands above all of it, and ends it', async () => {
    const { app, page, user } = await open('scene=paused');
    const privacy = within(page.getByTestId('settings-privacy'));
    await user.click(privacy.getByRole('button', { name: t('settings.paused.resume') }));
    await waitFor(() => expect(app.service.status?.access.paused).toBeNull());
  });
});

describe('listening', () => {
  it('adds an address, says why not, and keeps what was typed', async () => {
    const { app, page, user } = await open();
    await user.type(page.getByTestId('listen-field'), '9001{Enter}');
    await waitFor(() => expect(app.settings.values?.listen).toContain('tls://[::]:9001'));
    await user.type(page.getByTestId('listen-field'), 'tcp://[[::]:80{Enter}');
    expect(await page.findByText(t('error.cannot_listen'))).toBeTruthy();
    expect(page.getByTestId<HTMLInputElement>('listen-field').value).toBe('tcp://[::]:80');
    await user.click(undo());
    await waitFor(() => expect(app.settings.values?.listen).toEqual(['tls://[::]:9443']));
  });

  it('removes one and brings it back', async () => {
    const { page, user } = await open();
    const uri = 'tls://[::]:9443';
    await user.click(page.getByRole('button', { name: t('settings.listen.remove', { uri }) }));
    expect(await page.findByText(t('settings.listen.none'))).toBeTruthy();
    await user.click(undo());
    expect(await page.findByText(uri)).toBeTruthy();
  });
});

describe('the public list', () => {
  it('stores an address that can be fetched, and no other', async () => {
    const { app, page, user } = await open();
    const field = page.getByTestId('list-url');
    await user.clear(field);
    await user.type(field, 'ftp://list.example{Enter}');
    expect(page.getByText(t('settings.public_list.url.invalid'))).toBeTruthy();
    await user.clear(field);
    await user.type(field, 'https://list.example/peers.json{Enter}');
    const stored = 'https://list.example/peers.json';
    await waitFor(() => expect(app.settings.values?.public_list.url).toBe(stored));
    await user.clear(field);
    await user.keyboard('{Escape}');
    expect(page.getByTestId<HTMLInputElement>('list-url').value).toBe(stored);
  });
});

describe('fetching the public list', () => {
  it('says how the list in use came here, and fetches it anew', async () => {
    const { app, page, user } = await open();
    const state = within(page.getByTestId('setting-list_state'));
    const { total } = app.peers.list!;
    expect(state.getByText(/came with the program/)).toBeTruthy();
    await user.click(state.getByTestId('list-refresh'));
    expect(await screen.findByText(t('settings.public_list.refreshed', { total }))).toBeTruthy();
  });

  it('has nowhere to fetch it from without an address', async () => {
    const { page, user } = await open();
    await user.clear(page.getByTestId('list-url'));
    await user.keyboard('{Enter}');
    expect(await page.findByText(t('settings.public_list.no_url'))).toBeTruthy();
    expect(page.getByTestId<HTMLButtonElement>('list-refresh').disabled).toBe(true);
  });
});

describe('the page', () => {
  it('finds settings by their words, and says when there are none', async () => {
    const { page, user } = await open();
    await user.type(page.getByTestId('settings-search'), 'backup');
    expect(page.getByTestId('setting-backup')).toBeTruthy();
    expect(page.queryByTestId('settings-general')).toBeNull();
    await user.type(page.getByTestId('settings-search'), ' zeppelin');
    await user.click(page.getByRole('button', { name: t('settings.none.clear') }));
    expect(page.getByTestId('settings-general')).toBeTruthy();
  });

  it('leads to a setting that something else points at', async () => {
    const { app, user } = await open();
    app.navigation.go('settings', { focus: 'listen' });
    const row = await screen.findByTestId('setting-listen');
    await waitFor(() => expect(row.contains(document.activeElement)).toBe(true));
    // Once: the search keeps the focus when it brings the setting back.
    const search = screen.getByTestId('settings-search');
    await user.type(search, 'zeppelin');
    await user.clear(search);
    expect(document.activeElement).toBe(search);
    app.navigation.go('settings', { focus: 'privacy' });
    await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('inbound-circles')));
  });

  it('shows the rest while the service is away', async () => {
    const { page } = await open('scene=stopped');
    expect(page.getByTestId('service-away')).toBeTruthy();
    expect(page.getAllByText(t('settings.away'))).toHaveLength(10);
    expect(page.getByTestId('switch-autostart')).toBeTruthy();
    expect(page.getByText(t('settings.about.service.away'))).toBeTruthy();
  });

  it('keeps a place for what is asked for', async () => {
    const { page } = await open('scene=loading');
    expect(page.getByTestId('loading')).toBeTruthy();
    expect(page.queryByTestId('service-away')).toBeNull();
  });
});
