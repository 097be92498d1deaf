import { cleanup, screen, waitFor } from '@testing-library/svelte';
import { beforeEach, describe, expect, it } from 'vitest';
import { open } from '../../test-app';
import { changeLanguage, t } from '../i18n/index.svelte';

beforeEach(async () => {
  localStorage.clear();
  await changeLanguage('en');
});

const notice = () => screen.queryByTestId('newer-version');
const line = () => screen.getByTestId('releases-state').textContent?.trim() ?? '';

describe('the notice of a newer version', () => {
  it('is there only when one is known', async () => {
    await open('home', 'releases=newest');
    expect(notice()).toBeNull();
    cleanup();
    await open('home', 'releases=newer');
    expect(notice()?.textContent).toContain('0.2.0');
    expect(notice()?.textContent).toContain('https://planetary.example/releases/0.2.0');
    expect(notice()?.querySelector('a')).toBeNull();
  });

  it('copies the address, and stays away once it was dismissed', async () => {
    const { backend, user } = await open('home', 'releases=newer');
    await user.click(screen.getByTestId('newer-copy'));
    expect(backend.copied.at(-1)).toBe('https://planetary.example/releases/0.2.0');
    await user.click(screen.getByTestId('newer-dismiss'));
    expect(notice()).toBeNull();
    cleanup();
    await open('home', 'releases=newer');
    expect(notice()).toBeNull();
    // Of another version it tells again.
    localStorage.setItem('releases.dismissed', '0.1.9');
    cleanup();
    await open('home', 'releases=newer');
    expect(notice()).not.toBeNull();
  });
});

describe('the setting', () => {
  it('says what is known', async () => {
    for (const [state, expected] of [
      ['newest', 'No newer version is known.'],
      ['newer', t('releases.newer', { version: '0.2.0' })],
      ['failed', t('releases.error.versions_not_signed')],
      ['unavailable', t('releases.unavailable')],
    ] as const) {
      await open('settings', `releases=${state}`);
      expect(line()).toContain(expected);
      cleanup();
    }
  });

  it('can be switched off and on, where there is somebody to ask', async () => {
    const { app, user } = await open('settings', 'releases=newer');
    await user.click(screen.getByTestId('switch-release_check'));
    await waitFor(() => expect(app.service.status?.releases.check).toBe('off'));
    expect(app.service.status?.releases.newer).toBeNull();
    expect(screen.queryByTestId('releases-state')).toBeNull();
    await user.click(screen.getByRole('button', { name: t('common.undo') }));
    await waitFor(() => expect(line()).toContain('0.2.0'));
    cleanup();
    await open('settings', 'releases=unavailable');
    expect(screen.queryByTestId('switch-release_check')).toBeNull();
  });
});
