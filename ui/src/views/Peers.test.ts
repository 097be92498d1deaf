import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import App from '../App.svelte';
import { MockBackend } from '$lib/api/mock/backend';
import { FRIENDS, PEERS, PUBLIC } from '$lib/api/mock/data';
import { readScenario } from '$lib/api/mock/scenario';
import { t } from '$lib/i18n/index.svelte';
import { App as Stores } from '$lib/stores/app.svelte';

const usable = PUBLIC.filter((peer) => peer.usable);

async function open(query: string, tab = 'connected') {
  const backend = new MockBackend(readScenario(`?${query}&frozen`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go('peers', { tab });
  render(App, { props: { app } });
  await vi.waitFor(() => {
    if (app.service.phase === 'loading' && !query.includes('loading')) throw new Error('waiting');
    if (app.service.ready && !query.includes('loading')) expect(app.peers.list).not.toBeNull();
  });
  const user = userEvent.setup();
  const uris = () => app.service.status?.peers.map((peer) => peer.uri) ?? [];
  return { app, backend, user, uris, main: within(screen.getByRole('main')) };
}

/** The links of the rows, from top to bottom. */
const shown = () =>
  screen.getAllByTestId(/^peer-\d+$/).map((row) => Number(row.dataset['testid']?.slice(5)));

describe('Peers in their states', () => {
  it('waits without a word that is wrong', async () => {
    const { main } = await open('scene=loading');
    expect(main.getByTestId('loading').getAttribute('aria-label')).toBe(t('peers.loading'));
    expect(main.getByTestId('add-peer').hasAttribute('disabled')).toBe(true);
  });

  it('offers both ways to a peer when there is none', async () => {
    const { app, user } = await open('scene=empty');
    const empty = within(await screen.findByTestId('no-peers'));
    await user.click(empty.getByRole('button', { name: t('peers.add') }));
    expect(app.navigation.sheet).toEqual({ kind: 'add_peer' });
    await user.click(empty.getByRole('button', { name: t('peers.choose') }));
    expect(app.navigation.sheet).toEqual({ kind: 'choose_peers' });
  });

  it('shows each link with its host or friend, its state and its trouble in words', async () => {
    const { main } = await open('scene=normal');
    const table = within(main.getByTestId('peer-table'));
    expect(table.getAllByRole('row')).toHaveLength(PEERS.length + 1);
    const friend = FRIENDS.find((one) => one.key === PEERS[3]?.key)!;
    expect(table.getByText(friend.name)).toBeTruthy();
    expect(table.getByText(t('link_error.dial_timeout'), { exact: false })).toBeTruthy();
    expect(table.getByText(t('peers.state.paused'))).toBeTruthy();
  });

  it('says which link does not answer', async () => {
    const { main } = await open('scene=degraded');
    expect(main.getByText(t('peers.state.suspect'))).toBeTruthy();
    expect(main.getByText(t('peers.suspect'), { exact: false })).toBeTruthy();
  });

  it('offers other peers when none answers', async () => {
    const { main, user, app } = await open('scene=offline');
    const notice = main.getByText(t('peers.no_answer', { peers: 4 })).closest('.notice');
    const button = within(notice as HTMLElement).getByRole('button');
    await user.click(button);
    expect(app.navigation.sheet).toEqual({ kind: 'choose_peers' });
  });

  it('offers to connect when the node is switched off', async () => {
    const { main, user, app } = await open('scene=down');
    expect(main.getAllByText(t('peers.state.off')).length).toBeGreaterThan(2);
    await user.click(main.getByRole('button', { name: t('peers.connect') }));
    expect(app.service.phase).toBe('connecting');
  });

  it('says that the service is away, and keeps what was here without its controls', async () => {
    const { main, backend, app } = await open('scene=normal');
    const connection = await backend.connection();
    if (connection.state !== 'ready') throw new Error(connection.state);
    const none = { command: null, can_supervise: false, step: null };
    const away = { message: '', details: '', retry_in_s: 2, ...none };
    const { place } = connection;
    backend.play('connection', { state: 'stopped', since: 0, place, ...away });
    expect(await main.findByTestId('service-away')).toBeTruthy();
    expect(main.getByRole('tabpanel')).toHaveProperty('inert', true);
    expect(app.service.status?.peers).toHaveLength(PEERS.length);
    expect(main.getByTestId('peer-1')).toBeTruthy();
  });
});

describe('the table of links', () => {
  it('is sorted by a heading, with the keyboard too, and says so', async () => {
    const { main, user } = await open('scene=normal');
    const heading = main.getByTestId('sort-latency');
    heading.focus();
    await user.keyboard('{Enter}');
    expect(heading.closest('[role=columnheader]')?.getAttribute('aria-sort')).toBe('ascending');
    expect(shown()).toEqual([4, 1, 2, 3, 5, 6]);
    await user.keyboard('{Enter}');
    expect(heading.closest('[role=columnheader]')?.getAttribute('aria-sort')).toBe('descending');
    expect(shown()).toEqual([3, 2, 1, 4, 5, 6]);
  });

  it('brings a row to attention once', async () => {
    const { app, main, user } = await open('scene=normal');
    app.navigation.go('peers', { tab: 'connected', focus: '5' });
    await vi.waitFor(() => expect(document.activeElement).toBe(main.getByTestId('peer-5')));
    expect(app.navigation.focus).toBeNull();
    await user.click(main.getByTestId('sort-name'));
    expect(document.activeElement).toBe(main.getByTestId('sort-name'));
  });

  it('is sorted by a property whose column has no room', async () => {
    const { main, user } = await open('scene=normal');
    await user.selectOptions(main.getByTestId('sort-by'), 'direction');
    expect(shown()[0]).toBe(4);
  });
});

describe('the sheet of a peer', () => {
  it('pauses and resumes it', async () => {
    const { app, user, main } = await open('scene=normal');
    await user.click(main.getByTestId('peer-1'));
    await user.click(screen.getByTestId('pause-peer'));
    expect(app.service.status?.peers[0]?.paused).toBe(true);
    expect(screen.getByTestId('pause-peer').textContent).toContain(t('peers.resume'));
    await user.click(screen.getByTestId('pause-peer'));
    expect(app.service.status?.peers[0]?.paused).toBe(false);
  });

  it('removes it, and brings it back', async () => {
    const { app, user, main, uris } = await open('scene=normal');
    await user.click(main.getByTestId('peer-3'));
    await user.click(screen.getByTestId('remove-peer'));
    expect(app.navigation.sheet).toBeNull();
    expect(uris()).not.toContain(PEERS[2]?.uri);
    await user.click(screen.getByRole('button', { name: t('common.undo') }));
    expect(uris()).toContain(PEERS[2]?.uri);
  });

  it('says why one that has dialled this computer cannot be removed', async () => {
    const { user, main } = await open('scene=normal');
    await user.click(main.getByTestId('peer-4'));
    expect(screen.getByText(t('peers.not_own.inbound'))).toBeTruthy();
    expect(screen.queryByTestId('remove-peer')).toBeNull();
    expect(screen.queryByTestId('pause-peer')).toBeNull();
  });

  it('tells the trouble and whether it passes', async () => {
    const { user, main } = await open('scene=normal');
    await user.click(main.getByTestId('peer-5'));
    const error = screen.getByTestId('peer-error').textContent;
    expect(error).toContain(t('link_error.dial_timeout'));
    expect(error).toContain(t('peers.error.passing'));
  });

  it('copies the whole key', async () => {
    const { backend, user, main } = await open('scene=normal');
    await user.click(main.getByTestId('peer-1'));
    const sheet = within(screen.getByTestId('peer-sheet'));
    await user.click(sheet.getByRole('button', { name: t('home.key.copy') }));
    expect(backend.copied).toEqual([PEERS[0]?.key]);
  });

  it('stays when the peer goes, and says that', async () => {
    const { app, user, main } = await open('scene=normal');
    await user.click(main.getByTestId('peer-1'));
    const { uri, interface: name } = PEERS[0]!;
    await app.peers.remove({ uri, interface: name });
    expect(await screen.findByText(t('peers.gone.text'))).toBeTruthy();
  });
});

describe('adding peers', () => {
  const type = (text: string) => text.replaceAll('[', '[[');

  it('adds those that can be, and keeps the others in the field', async () => {
    const { app, user, main, uris } = await open('scene=normal');
    await user.click(main.getByTestId('add-peer'));
    const field = screen.getByTestId<HTMLTextAreaElement>('peer-uris');
    expect(screen.getByTestId('add-peers').hasAttribute('disabled')).toBe(true);
    await user.type(field, type(`tls://new.example:443 tcp://two.example:1 ${PEERS[0]?.uri} what`));
    const checked = within(screen.getByTestId('checked-uris'));
    expect(checked.getAllByText(t('peers.uri.fine'))).toHaveLength(2);
    expect(checked.getByText(t('peers.uri.exists'))).toBeTruthy();
    expect(checked.getByText(t('peers.uri.no_scheme'))).toBeTruthy();
    await user.click(screen.getByTestId('add-peers'));
    expect(uris()).toEqual(
      expect.arrayContaining(['tls://new.example:443', 'tcp://two.example:1']),
    );
    expect(field.value).toBe(`${PEERS[0]?.uri}\nwhat`);
    expect(app.navigation.sheet).toEqual({ kind: 'add_peer' });
  });

  it('closes when all were added, and takes them away again', async () => {
    const { app, user, main, uris } = await open('scene=normal');
    await user.click(main.getByTestId('add-peer'));
    await user.type(screen.getByTestId('peer-uris'), 'tls://new.example:443');
    await user.click(screen.getByTestId('add-peers'));
    expect(app.navigation.sheet).toBeNull();
    await user.click(screen.getByRole('button', { name: t('common.undo') }));
    expect(uris()).not.toContain('tls://new.example:443');
  });

  it('says what the service has against one', async () => {
    const { app, user, main } = await open('scene=normal');
    vi.spyOn(app.peers, 'add').mockRejectedValue({ code: 'peer_limit', message: '', hint: null });
    await user.click(main.getByTestId('add-peer'));
    await user.type(screen.getByTestId('peer-uris'), 'tls://new.example:443');
    await user.click(screen.getByTestId('add-peers'));
    expect(screen.getByText(t('error.peer_limit'))).toBeTruthy();
  });
});

describe('public peers', () => {
  it('are tested with progress, and the nearest come first', async () => {
    const { app, user, main } = await open('scene=normal', 'public');
    await user.click(main.getByTestId('select-shown'));
    expect(main.getByTestId('selected').textContent).toBe(
      t('peers.selected', { peers: usable.length }),
    );
    await user.click(main.getByTestId('test-selected'));
    await vi.waitFor(() => expect(main.getByTestId('test-progress').textContent).toMatch(/^8 /));
    await vi.waitFor(() => expect(app.peers.testing).toBeNull(), { timeout: 5000 });
    expect(app.peers.tests.size).toBe(usable.length);
    const list = within(main.getByTestId('public-list'));
    expect(list.getAllByRole('listitem')[0]?.textContent).toContain('Germany');
    expect(list.getAllByTestId('round-trip')[0]?.textContent).toContain('18');
  });

  it('stop being tested when that is wished', async () => {
    const { app, user, main } = await open('scene=normal', 'public');
    await user.click(main.getByTestId('select-shown'));
    await user.click(main.getByTestId('test-selected'));
    await user.click(await main.findByTestId('stop-test'));
    await vi.waitFor(() => expect(app.peers.testing).toBeNull());
    expect(app.peers.tests.size).toBeLessThan(usable.length);
  });

  it('are selected by country, those that the node cannot dial left out', async () => {
    const { user, main } = await open('scene=normal', 'public');
    await user.type(main.getByTestId('public-search'), 'germany berlin');
    const country = t('peers.select.country', { country: 'Germany' });
    await user.click(main.getByRole('checkbox', { name: country }));
    const count = usable.filter((peer) => peer.uri.includes('berlin')).length;
    expect(main.getByTestId('selected').textContent).toBe(t('peers.selected', { peers: count }));
    await user.type(main.getByTestId('public-search'), ' masque');
    const unusable = PUBLIC.find((peer) => peer.uri.includes('berlin') && !peer.usable)!;
    const box = t('peers.select.peer', { peer: unusable.uri });
    expect(main.getByRole('checkbox', { name: box }).hasAttribute('disabled')).toBe(true);
    expect(main.getAllByText(t('peers.unusable', { transport: 'masque' })).length).toBeGreaterThan(
      0,
    );
  });

  it('are added one by one, and are then in use', async () => {
    const { user, main, uris } = await open('scene=normal', 'public');
    await user.type(main.getByTestId('public-search'), 'lund');
    const peer = usable.find((one) => one.uri.includes('lund'))!;
    await user.click(main.getByTestId(`add-${peer.uri}`));
    expect(uris()).toContain(peer.uri);
    expect(await main.findByText(t('peers.in_use'))).toBeTruthy();
    expect(main.queryByTestId(`add-${peer.uri}`)).toBeNull();
  });

  it('say when nothing matches, with the way back', async () => {
    const { user, main } = await open('scene=normal', 'public');
    await user.type(main.getByTestId('public-search'), 'atlantis');
    await user.click(main.getByRole('button', { name: t('peers.search.clear') }));
    expect(main.getByTestId('public-list')).toBeTruthy();
    expect(main.getByTestId<HTMLInputElement>('public-search').value).toBe('');
  });

  it('tell where the list comes from and what is wrong in it', async () => {
    const { user, main } = await open('scene=normal', 'public');
    expect(main.getByText(t('peers.list.trust.shipped'), { exact: false })).toBeTruthy();
    await user.click(main.getByRole('button', { name: t('common.details') }));
    const entry = { entry: 17, reason: 'the port is not a number' };
    expect(main.getByText(t('peers.list.entry', entry))).toBeTruthy();
  });
});

describe('“Choose for me”', () => {
  it('shows progress, then what was chosen and why, and undoes it', async () => {
    const { user, main, uris } = await open('scene=normal');
    const before = uris();
    await user.click(main.getByTestId('choose-peers'));
    const sheet = within(screen.getByTestId('choose-sheet'));
    expect(sheet.getByText(t('peers.choose.own'))).toBeTruthy();
    await user.click(sheet.getByTestId('choose'));
    await vi.waitFor(() => expect(sheet.getByTestId('choose-progress').textContent).toMatch(/^8 /));
    const choices = await sheet.findByTestId('choices', undefined, { timeout: 5000 });
    const fresh = uris().filter((uri) => !before.includes(uri));
    expect(fresh).toHaveLength(3);
    expect(choices.textContent).toContain(new URL(fresh[0]!.replace('tls:', 'https:')).hostname);
    await user.click(sheet.getByTestId('undo-choice'));
    await vi.waitFor(() => expect(uris()).toEqual(before));
    expect(sheet.getByText(t('peers.choose.undone'))).toBeTruthy();
  });

  it('adds nothing when it is stopped', async () => {
    const { user, main, uris } = await open('scene=normal');
    const before = uris();
    await user.click(main.getByTestId('choose-peers'));
    await user.click(screen.getByTestId('choose'));
    await user.click(await screen.findByTestId('stop-choice'));
    expect(await screen.findByText(t('peers.choose.stopped'))).toBeTruthy();
    expect(uris()).toEqual(before);
  });

  it('stops when its sheet is closed', async () => {
    const { app, user, main, uris } = await open('scene=normal');
    const before = uris();
    await user.click(main.getByTestId('choose-peers'));
    await user.click(screen.getByTestId('choose'));
    await screen.findByTestId('stop-choice');
    const stop = vi.spyOn(app.peers, 'stop');
    app.navigation.close();
    await vi.waitFor(() => expect(stop).toHaveBeenCalled());
    expect(uris()).toEqual(before);
  });

  it('says why nobody was chosen, and tries again', async () => {
    const { app, user, main } = await open('scene=normal');
    const nobody = { code: 'unreachable', message: 'none of 24 answered', hint: null };
    vi.spyOn(app.peers, 'choose').mockRejectedValueOnce(nobody);
    await user.click(main.getByTestId('choose-peers'));
    await user.click(screen.getByTestId('choose'));
    expect(screen.getByTestId('choose-failed').textContent).toContain(t('peers.choose.nobody'));
    await user.click(screen.getByTestId('choose'));
    expect(await screen.findByTestId('choices', undefined, { timeout: 5000 })).toBeTruthy();
  });
});
