import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import { keyLines } from './constellation';

const KEY = '0123456789abcdef'.repeat(4);
const PEER = 'tls://berlin.commons.example:443';
const LINK = `planetary:friend?k=${KEY}&n=Zoe&p=${encodeURIComponent(PEER)}`;
const settled = () => new Promise((resolve) => setTimeout(resolve));

async function open(query: string) {
  const backend = new MockBackend(readScenario(`?frozen&${query}`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go('friends');
  render(App, { props: { app } });
  await screen.findByTestId('view-friends');
  await settled();
  return { app, backend, main: within(screen.getByRole('main')) };
}

const row = (name: string) => {
  const found = screen.getAllByTestId('friend-row').find((one) => one.textContent?.includes(name));
  if (!found) throw new Error(`${name} is not in the list`);
  return found;
};

describe('Friends', () => {
  it('says who is there, how far away, and what each may reach', async () => {
    const { main } = await open('scene=normal');
    expect(main.getAllByTestId('friend-row')).toHaveLength(7);
    const laptop = row('Aurelie').textContent ?? '';
    expect(laptop).toContain('ssh, ports 8000–8100, UDP port 5353, ping');
    expect(laptop).toContain('direct · ');
    expect(laptop).toContain(t('friends.verified'));
    expect(await within(row('Ada')).findByText(/via \d hops?/)).toBeTruthy();
    expect(row('Old phone').textContent).toContain(t('friends.presence.blocked'));
    expect(main.queryByTestId('friends-search')).toBeNull();
  });

  it('offers to share and to add while there is nobody', async () => {
    const { main, app } = await open('scene=empty');
    expect(main.getByText(t('friends.empty'))).toBeTruthy();
    await userEvent.click(main.getByTestId('first-add-friend'));
    expect(app.navigation.sheet?.kind).toBe('add_friend');
  });

  it('waits while the service is looked for', async () => {
    const { main } = await open('scene=loading');
    expect(main.getByTestId('loading')).toBeTruthy();
  });

  it('keeps the last picture, unusable, when the service goes away', async () => {
    const { main, app } = await open('scene=normal');
    app.service.connection = {
      state: 'stopped',
      since: 0,
      message: '',
      place: '',
      command: null,
      can_supervise: false,
      retry_in_s: 2,
      details: '',
      step: null,
    };
    expect(await main.findByTestId('service-away')).toBeTruthy();
    // The attribute is not known to jsdom, which keeps it as a property.
    const usable = (node: HTMLElement | null): boolean =>
      node === null || (!node.inert && usable(node.parentElement));
    expect(usable(row('Ada'))).toBe(false);
    expect(main.getByTestId<HTMLButtonElement>('add-friend').disabled).toBe(true);
  });

  it('says that nobody is seen while the node is off', async () => {
    const { main } = await open('scene=down');
    expect(main.getByTestId('off').textContent).toContain(t('friends.off.down'));
  });

  it('searches a long list and draws only a part of it', async () => {
    const { main } = await open('scene=normal&friends=300');
    expect(main.getAllByTestId('friend-row').length).toBeLessThan(60);
    await userEvent.type(main.getByTestId('friends-search'), 'grandma');
    expect(main.getAllByTestId('friend-row')).toHaveLength(1);
    await userEvent.type(main.getByTestId('friends-search'), 'x');
    expect(main.getByText(t('friends.search.none', { search: 'grandmax' }))).toBeTruthy();
  });

  it('pauses everything and resumes', async () => {
    const { main, app } = await open('scene=normal');
    await userEvent.click(main.getByTestId('pause'));
    expect(document.activeElement?.textContent).toBe(t('friends.pause.quarter'));
    await userEvent.keyboard('{ArrowDown}{Enter}');
    const banner = await main.findByTestId('paused');
    const until = app.service.status?.access.paused?.until ?? 0;
    expect(until - (app.service.status?.time ?? 0)).toBe(3600);
    await userEvent.click(within(banner).getByTestId('resume'));
    expect(main.queryByTestId('paused')).toBeNull();
  });

  it('opens a service to everyone only after a warning, and takes it back', async () => {
    const { main, app } = await open('scene=normal');
    await userEvent.click(main.getByTestId('open-add'));
    await userEvent.click(main.getByTestId('reach-web'));
    expect(app.friends.everyone).toEqual([]);
    expect(main.getByText(t('friends.everyone.warning', { service: 'web' }))).toBeTruthy();
    await userEvent.click(main.getByTestId('open-confirm'));
    expect(app.friends.everyone).toEqual(['tcp/80', 'tcp/443']);
    await userEvent.click(screen.getByRole('button', { name: t('common.undo') }));
    await settled();
    expect(app.friends.everyone).toEqual([]);
  });

  it('unblocks a key', async () => {
    const { main, app } = await open('scene=normal');
    const name = t('friends.unblock.who', { name: 'Old phone' });
    await userEvent.click(main.getByRole('button', { name }));
    await settled();
    expect(app.friends.list?.find((one) => one.name === 'Old phone')?.blocked).toBe(false);
  });
});

describe('the sheet of a friend', () => {
  const openFriend = async (name: string) => {
    const opened = await open('scene=normal');
    await userEvent.click(row(name));
    const sheet = within(await screen.findByTestId('friend-sheet'));
    const friend = () => opened.app.friends.list?.find((one) => one.name === name);
    return { ...opened, sheet, friend };
  };

  it('grants and takes away, and undoes both', async () => {
    const { sheet, friend } = await openFriend('Ada');
    await userEvent.click(sheet.getByTestId('reach-web'));
    await settled();
    expect(friend()?.services).toEqual(['tcp/22', 'tcp/80', 'tcp/443']);
    const close = t('reach.close', { service: 'ssh (tcp/22)' });
    await userEvent.click(sheet.getByRole('button', { name: close }));
    await settled();
    expect(friend()?.services).toEqual(['tcp/80', 'tcp/443']);
    await userEvent.click(sheet.getAllByRole('button', { name: t('common.undo') }).at(-1)!);
    await settled();
    expect(friend()?.services).toContain('tcp/22');
  });

  it('names a mistake in the ports and takes them once they are right', async () => {
    const { sheet, friend } = await openFriend('Ada');
    await userEvent.click(sheet.getByTestId('reach-other'));
    await userEvent.type(sheet.getByTestId('reach-ports'), '900-80{Enter}');
    expect(sheet.getByRole('alert').textContent).toBe(t('reach.trouble.ports'));
    await userEvent.clear(sheet.getByTestId('reach-ports'));
    await userEvent.type(sheet.getByTestId('reach-ports'), '80-900{Enter}');
    await settled();
    expect(friend()?.services).toContain('tcp/80-900');
  });

  it('shows the key in groups and remembers that it was compared', async () => {
    const { sheet, friend, backend } = await openFriend('Михаил');
    for (const line of keyLines(friend()?.key ?? '')) {
      expect(sheet.getByTestId('key-lines').textContent).toContain(line);
    }
    await userEvent.click(sheet.getByTestId('key-copy'));
    expect(backend.copied).toEqual([friend()?.key]);
    await userEvent.click(sheet.getByTestId('friend-verify'));
    expect(await sheet.findByTestId('friend-verified')).toBeTruthy();
    expect(friend()?.verified).toBe(true);
  });

  it('renames when the field is left, but not to a name that is taken', async () => {
    const { sheet, app, friend } = await openFriend('Ada');
    const key = friend()?.key ?? '';
    const field = sheet.getByTestId('friend-name');
    await userEvent.clear(field);
    await userEvent.type(field, 'grandma{Tab}');
    expect(sheet.getByRole('alert').textContent).toBe(t('friend.name.taken'));
    expect(app.friends.find(key)?.name).toBe('Ada');
    await userEvent.clear(field);
    await userEvent.type(field, 'Ada L.{Tab}');
    await settled();
    expect(app.friends.find(key)?.name).toBe('Ada L.');
  });

  it('stores notes', async () => {
    const { sheet, friend } = await openFriend('Grandma');
    await userEvent.type(sheet.getByTestId('friend-notes'), 'Likes ssh{Tab}');
    await settled();
    expect(friend()?.notes).toBe('Likes ssh');
  });

  it('says what a ping brought', async () => {
    const { sheet } = await openFriend('Ada');
    await userEvent.click(sheet.getByTestId('friend-ping'));
    expect(sheet.getByTestId('friend-ping-result').textContent).toMatch(/^3 of 3 answered/);
  });

  it('says that nobody answered', async () => {
    const { sheet } = await openFriend('Grandma');
    await userEvent.click(sheet.getByTestId('friend-ping'));
    const none = t('friend.ping.none', { seconds: 2 });
    expect(sheet.getByTestId('friend-ping-result').textContent).toBe(none);
  });

  it('removes, and takes back with all rights', async () => {
    const { sheet, app, friend } = await openFriend('Aurelie’s laptop');
    const before = friend();
    await userEvent.click(sheet.getByTestId('friend-remove'));
    await settled();
    expect(app.navigation.sheet).toBeNull();
    expect(friend()).toBeUndefined();
    await userEvent.click(screen.getByRole('button', { name: t('common.undo') }));
    await settled();
    const { services, verified, notes, echo } = before!;
    expect(friend()).toMatchObject({ services, verified, notes, echo });
  });

  it('takes a blocked friend back as one that is blocked', async () => {
    const { sheet, friend } = await openFriend('Old phone');
    await userEvent.click(sheet.getByTestId('friend-remove'));
    await settled();
    await userEvent.click(screen.getByRole('button', { name: t('common.undo') }));
    await settled();
    expect(friend()).toMatchObject({ blocked: true, echo: true });
  });

  it('blocks and says that rights do not hold', async () => {
    const { sheet, friend } = await openFriend('Ada');
    await userEvent.click(sheet.getByTestId('friend-block'));
    expect(await sheet.findByText(t('friend.blocked.text'))).toBeTruthy();
    expect(friend()?.blocked).toBe(true);
  });
});

describe('adding a friend', () => {
  const openSheet = async (text: string, query = 'scene=normal') => {
    const opened = await open(query);
    opened.app.navigation.open({ kind: 'add_friend', text });
    const sheet = within(await screen.findByTestId('add-friend-sheet'));
    return { ...opened, sheet };
  };
  const submit = () => screen.getByTestId<HTMLButtonElement>('add-friend-submit');

  it('shows a link before anything is stored, and dials no peer unasked', async () => {
    const { sheet, app } = await openSheet(LINK);
    expect((await sheet.findByTestId('link-preview')).textContent).toContain('Zoe');
    expect(app.friends.find(KEY)).toBeUndefined();
    expect(sheet.getByTestId<HTMLInputElement>('link-peer').checked).toBe(false);
    await userEvent.click(submit());
    await settled();
    expect(app.friends.find(KEY)).toMatchObject({ name: 'Zoe', echo: true, services: [] });
    expect(app.service.status?.peers.some((peer) => peer.uri === PEER)).toBe(false);
    expect(app.navigation.sheet).toBeNull();
  });

  it('takes the name, the rights and the peers that were chosen, and undoes all', async () => {
    const { sheet, app } = await openSheet(LINK);
    const name = await sheet.findByTestId('add-friend-name');
    await userEvent.clear(name);
    await userEvent.type(name, 'Zoë');
    await userEvent.click(sheet.getByTestId('reach-ssh'));
    await userEvent.click(sheet.getByTestId('link-peer'));
    await userEvent.click(submit());
    await settled();
    expect(app.friends.find(KEY)).toMatchObject({ name: 'Zoë', services: ['tcp/22'] });
    const there = () => app.service.status?.peers.some((peer) => peer.uri === PEER);
    expect(there()).toBe(true);
    await userEvent.click(screen.getByRole('button', { name: t('common.undo') }));
    await settled();
    expect(app.friends.find(KEY)).toBeUndefined();
    expect(there()).toBe(false);
  });

  it('reads a link that a letter broke into lines', async () => {
    const { sheet } = await openSheet(`${LINK.slice(0, 40)}\n ${LINK.slice(40)}\n`);
    expect((await sheet.findByTestId('link-preview')).textContent).toContain('Zoe');
    await userEvent.clear(sheet.getByTestId('link-input'));
    await userEvent.type(sheet.getByTestId('link-input'), keyLines(KEY).join(' '));
    expect(await sheet.findByText(t('add_friend.kind.key'))).toBeTruthy();
  });

  it('says when a text is none of the things it can be', async () => {
    const { sheet } = await openSheet('planetary:friend?n=x');
    expect((await sheet.findByRole('alert')).textContent).toBe(t('add_friend.unreadable'));
    expect(submit().disabled).toBe(true);
  });

  it('begins in the field for the link', async () => {
    const { sheet } = await openSheet('');
    expect(document.activeElement).toBe(sheet.getByTestId('link-input'));
  });

  it('recognises its own link and offers to share it', async () => {
    const { sheet, app } = await openSheet('');
    vi.spyOn(app.backend, 'readLink').mockResolvedValue({
      kind: 'friend',
      key: KEY,
      address: '200::1',
      name: null,
      peers: [],
      own: true,
      known: null,
      blocked: false,
    });
    await userEvent.type(sheet.getByTestId('link-input'), 'planetary:friend');
    expect(await sheet.findByTestId('link-own')).toBeTruthy();
    expect(submit().disabled).toBe(true);
  });

  it('leads to a friend who is known already', async () => {
    const { app } = await open('scene=normal');
    const [known] = app.friends.list ?? [];
    app.navigation.open({ kind: 'add_friend', text: known?.key ?? '' });
    const notice = await screen.findByTestId('link-known');
    await userEvent.click(within(notice).getByRole('button'));
    expect(app.navigation.sheet).toEqual({ kind: 'friend', key: known?.key });
  });

  it('refuses a blocked key until it is unblocked', async () => {
    const { app } = await open('scene=normal');
    const blocked = app.friends.blocked.find((one) => !one.friend);
    app.navigation.open({ kind: 'add_friend', text: blocked?.key ?? '' });
    const notice = await screen.findByTestId('link-blocked');
    expect(submit().disabled).toBe(true);
    await userEvent.click(within(notice).getByRole('button'));
    await settled();
    expect(submit().disabled).toBe(false);
  });
});
