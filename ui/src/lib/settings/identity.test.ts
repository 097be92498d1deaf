import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import type { Sheet } from '../stores/navigation.svelte';

const BACKUP = JSON.stringify({ format: 'planetary-backup', address: '206:2f7c::1' });
const CONFIGURATION = '{\n  PrivateKey: 26\n  Peers: []\n}';

async function open(kind: Sheet['kind'] & ('import' | 'export_identity'), query = '') {
  const backend = new MockBackend(readScenario(`?frozen&${query}`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go('settings');
  render(App, { props: { app } });
  await screen.findByTestId('view-settings');
  await new Promise((resolve) => setTimeout(resolve));
  app.navigation.open({ kind });
  const name = kind === 'import' ? 'import-sheet' : 'export-sheet';
  const sheet = within(await screen.findByTestId(name));
  return { app, backend, sheet, user: userEvent.setup() };
}
const enabled = (element: HTMLElement) => !(element as HTMLButtonElement).disabled;

describe('a backup', () => {
  it('takes a passphrase twice', async () => {
    const { backend, sheet, user } = await open('export_identity');
    const exported = vi.spyOn(backend, 'exportIdentity');
    const save = sheet.getByTestId('export-save');
    await user.type(sheet.getByTestId('export-passphrase'), 'short');
    expect(sheet.getByTestId('strength').textContent).toBe(t('export.strength.short'));
    await user.type(sheet.getByTestId('export-passphrase'), ' moon river orchid');
    await user.type(sheet.getByTestId('export-again'), 'other');
    expect(sheet.getByText(t('export.differs'))).toBeTruthy();
    expect(enabled(save)).toBe(false);
    await user.clear(sheet.getByTestId('export-again'));
    await user.type(sheet.getByTestId('export-again'), 'short moon river orchid');
    await user.click(save);
    expect(await sheet.findByTestId('export-done')).toBeTruthy();
    expect(exported).toHaveBeenCalledExactlyOnceWith('short moon river orchid');
  });

  it('suggests a passphrase that can be read', async () => {
    const { sheet, user } = await open('export_identity');
    await user.click(sheet.getByTestId('export-suggest'));
    const fields = ['export-passphrase', 'export-again'].map((id) =>
      sheet.getByTestId<HTMLInputElement>(id),
    );
    expect(fields.map((field) => field.type)).toEqual(['text', 'text']);
    expect(fields[0]!.value).toBe(fields[1]!.value);
    expect(enabled(sheet.getByTestId('export-save'))).toBe(true);
  });

  it('stays as it is when the person thinks better of where to save', async () => {
    const { backend, sheet, user } = await open('export_identity');
    vi.spyOn(backend, 'exportIdentity').mockResolvedValue(null as never);
    await user.click(sheet.getByTestId('export-suggest'));
    await user.click(sheet.getByTestId('export-save'));
    await waitFor(() => expect(enabled(sheet.getByTestId('export-save'))).toBe(true));
    expect(sheet.queryByTestId('export-done')).toBeNull();
    expect(sheet.queryByTestId('export-failed')).toBeNull();
  });

  it('names the command where the account has not the right', async () => {
    const { sheet } = await open('export_identity', 'rights=change');
    expect(sheet.getByText(/sudo planetary identity export/)).toBeTruthy();
    expect(sheet.queryByTestId('export-passphrase')).toBeNull();
  });
});

describe('an import', () => {
  const paste = async ({ sheet, user }: Awaited<ReturnType<typeof open>>, text: string) => {
    await user.click(sheet.getByTestId('import-text'));
    await user.paste(text);
    await user.click(sheet.getByTestId('import-paste'));
  };

  it('opens a backup, shows who the node would be, and replaces nobody without a tick', async () => {
    const task = await open('import');
    const { app, sheet, user } = task;
    const before = app.service.status?.key;
    await paste(task, BACKUP);
    await user.type(sheet.getByTestId('import-passphrase'), 'wrong{Enter}');
    expect(await sheet.findByText(t('error.wrong_passphrase'))).toBeTruthy();
    await user.clear(sheet.getByTestId('import-passphrase'));
    await user.type(sheet.getByTestId('import-passphrase'), 'right{Enter}');
    const after = (await sheet.findByTestId('import-after')).textContent;
    expect(enabled(sheet.getByTestId('import-apply'))).toBe(false);
    expect(app.service.status?.key).toBe(before);
    await user.click(sheet.getByTestId('import-tick'));
    await user.click(sheet.getByTestId('import-apply'));
    expect(await sheet.findByTestId('import-done')).toBeTruthy();
    expect(app.service.status?.address).toBe(after);
  });

  it('says what becomes of each setting, with and without the identity', async () => {
    const task = await open('import');
    const { app, sheet, user } = task;
    const before = app.service.status?.key;
    await paste(task, CONFIGURATION);
    expect(sheet.getByTestId('import-kind').textContent).toBe(t('import.kind.settings'));
    expect(await sheet.findByTestId('import-items')).toBeTruthy();
    expect(sheet.getAllByText(t('import.outcome.left'))).toHaveLength(2);
    await user.click(sheet.getByTestId('import-tick'));
    await user.click(sheet.getByTestId('import-identity'));
    await waitFor(() => expect(sheet.queryByTestId('import-after')).toBeNull());
    expect(sheet.getAllByText(t('import.outcome.kept'))).toHaveLength(2);
    await user.click(sheet.getByTestId('import-apply'));
    expect(await sheet.findByTestId('import-done')).toBeTruthy();
    expect(app.service.status?.key).toBe(before);
  });

  it('wants another tick after another choice', async () => {
    const task = await open('import');
    const { sheet, user } = task;
    await paste(task, CONFIGURATION);
    await user.click(await sheet.findByTestId('import-tick'));
    await user.click(sheet.getByTestId('import-identity'));
    await waitFor(() => expect(sheet.queryByTestId('import-tick')).toBeNull());
    await user.click(sheet.getByTestId('import-identity'));
    const tick = await sheet.findByTestId<HTMLInputElement>('import-tick');
    expect(tick.checked).toBe(false);
    expect(enabled(sheet.getByTestId('import-apply'))).toBe(false);
  });

  it('takes a file, and says when it is no kind that it knows', async () => {
    const { sheet, user } = await open('import');
    const file = new File(['Dear Ada'], 'letter.txt', { type: 'text/plain' });
    await user.upload(sheet.getByTestId('import-file'), file);
    expect(await sheet.findByTestId('import-unknown')).toBeTruthy();
    await user.click(sheet.getByTestId('import-clear'));
    expect(sheet.getByTestId('import-choose')).toBeTruthy();
  });

  it('says that there is nothing to do', async () => {
    const task = await open('import');
    const { app, backend, sheet, user } = task;
    const { key, address, subnet } = app.service.status!;
    const same = { key, address, subnet, file: null };
    vi.spyOn(backend, 'importIdentity').mockResolvedValue({
      source: 'key',
      created: null,
      before: same,
      after: same,
      differs: false,
      applied: false,
      kept: null,
      left: [],
    });
    await paste(task, '-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----');
    expect(await sheet.findByText(t('import.same'))).toBeTruthy();
    expect(sheet.queryByTestId('import-apply')).toBeNull();
    await user.click(sheet.getByTestId('import-close'));
    expect(app.navigation.sheet).toBeNull();
  });

  it('names the commands where the account has not the right', async () => {
    const { sheet } = await open('import', 'rights=change');
    expect(sheet.getByText(/sudo planetary identity import/)).toBeTruthy();
    expect(sheet.queryByTestId('import-choose')).toBeNull();
  });
});
