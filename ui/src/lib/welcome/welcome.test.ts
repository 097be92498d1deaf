import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import { changeLanguage, t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';

beforeEach(() => changeLanguage('en'));

async function open(scene = 'welcome') {
  const scenario = readScenario(`?scene=${scene}&frozen`);
  scenario.preferences = { ...scenario.preferences, welcomed: false };
  const backend = new MockBackend(scenario);
  const app = new Stores(backend);
  await app.preferences.load();
  render(App, { props: { app } });
  const welcome = within(await screen.findByTestId('welcome'));
  await new Promise((resolve) => setTimeout(resolve));
  return { app, backend, welcome, user: userEvent.setup() };
}

describe('first steps', () => {
  it('lead to Home and a connection with the keyboard alone', async () => {
    const { app, welcome, user } = await open();
    await user.keyboard('{Enter}');
    expect(welcome.getByTestId('welcome-address').textContent).toBe(app.service.status?.address);
    await user.keyboard('{Enter}');
    expect(welcome.getByTestId('welcome-progress').textContent).toContain(
      t('welcome.progress', { step: 3, steps: 3 }),
    );
    // The radio buttons, then what the chosen one offers.
    await user.tab();
    expect(document.activeElement).toBe(welcome.getByTestId('way-choose'));
    await user.tab();
    await user.keyboard('{Enter}');
    const finish = welcome.getByTestId('welcome-finish');
    await waitFor(() => expect(document.activeElement).toBe(finish), { timeout: 4000 });
    await user.keyboard('{Enter}');
    expect(await screen.findByTestId('view-home')).toBeTruthy();
    expect(app.preferences.values.welcomed).toBe(true);
    await waitFor(() => expect(app.service.phase).toBe('connected'));
    expect(app.service.peersUp.length).toBeGreaterThan(0);
  });

  it('can be skipped at once', async () => {
    const { app, welcome, user } = await open();
    await user.click(welcome.getByTestId('welcome-skip'));
    expect(await screen.findByTestId('view-home')).toBeTruthy();
    expect(app.preferences.values.welcomed).toBe(true);
    expect(screen.queryByTestId('welcome')).toBeNull();
  });

  it('take a peer of the person’s own', async () => {
    const { app, welcome, user } = await open();
    await user.keyboard('{Enter}{Enter}');
    await user.click(welcome.getByTestId('way-own'));
    await user.type(welcome.getByTestId('welcome-uri'), 'tls://ada.example:443{Enter}');
    expect(await welcome.findByTestId('welcome-added')).toBeTruthy();
    expect(app.service.status?.peers.map((peer) => peer.uri)).toEqual(['tls://ada.example:443']);
    expect(welcome.getByTestId('welcome-finish').textContent).toContain(t('welcome.finish'));
  });

  it('go back, and speak another language', async () => {
    const { app, welcome, user } = await open();
    await user.click(welcome.getByTestId('welcome-next'));
    await user.click(welcome.getByTestId('welcome-back'));
    await user.selectOptions(welcome.getByTestId('language'), 'Français');
    await waitFor(() => expect(app.preferences.values.language).toBe('fr'));
  });

  it('bring an identity from elsewhere', async () => {
    const { app, welcome, user } = await open();
    const before = app.service.status?.address;
    await user.click(welcome.getByTestId('welcome-next'));
    await user.click(welcome.getByTestId('welcome-import'));
    const sheet = within(await screen.findByTestId('import-sheet'));
    await user.click(sheet.getByTestId('import-text'));
    await user.paste('-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----');
    await user.click(sheet.getByTestId('import-paste'));
    await user.click(await sheet.findByTestId('import-tick'));
    await user.click(sheet.getByTestId('import-apply'));
    await sheet.findByTestId('import-done');
    const shown = welcome.getByTestId('welcome-address').textContent;
    expect(shown).toBe(app.service.status?.address);
    expect(shown).not.toBe(before);
  });

  it('say that there is a way in already', async () => {
    const { welcome, user } = await open('normal');
    await user.keyboard('{Enter}{Enter}');
    expect(welcome.getByTestId('welcome-there')).toBeTruthy();
    expect(welcome.queryByTestId('choose')).toBeNull();
  });

  it('offer what mends a service that is missing', async () => {
    const { app, welcome, user } = await open('not_installed');
    const notice = within(welcome.getByTestId('welcome-service'));
    expect(notice.getByText(t('home.not_installed'))).toBeTruthy();
    await user.click(notice.getByTestId('supervise'));
    await waitFor(() => expect(app.service.ready).toBe(true));
    expect(welcome.queryByTestId('welcome-service')).toBeNull();
  });

  it('name the command where the system cannot be asked', async () => {
    const { welcome, user } = await open('no_permission');
    expect(welcome.getByTestId('command').textContent).toContain('usermod');
    await user.click(welcome.getByTestId('welcome-next'));
    expect(welcome.getByText(t('welcome.who.away'))).toBeTruthy();
  });

  it('leave the shortcuts of the views alone', async () => {
    const { app, user } = await open();
    await user.keyboard('{Control>}k{/Control}');
    expect(app.navigation.palette).toBe(false);
  });
});
