import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '$lib/api/mock/backend';
import { FRIENDS } from '$lib/api/mock/data';
import { readScenario } from '$lib/api/mock/scenario';
import { t } from '$lib/i18n/index.svelte';
import { App as Stores } from '$lib/stores/app.svelte';

const ada = FRIENDS.find((friend) => friend.online && friend.name === 'Ada')!;

async function open(query: string) {
  const backend = new MockBackend(readScenario(`?${query}&frozen`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go('map');
  const { unmount } = render(App, { props: { app } });
  const main = within(screen.getByRole('main'));
  return { app, backend, main, unmount, user: userEvent.setup() };
}

/** How many nodes the map holds once there are any. */
async function nodes(): Promise<number> {
  await vi.waitFor(() => expect(screen.getByTestId('map').dataset['nodes']).not.toBe('0'));
  return Number(screen.getByTestId('map').dataset['nodes']);
}

async function choose(name: string): Promise<HTMLElement> {
  await vi.waitFor(() => expect(Number(screen.getByTestId('map').dataset['nodes'])).toBe(60));
  const user = userEvent.setup();
  await user.type(screen.getByTestId('map-search'), name);
  await user.keyboard('{Enter}');
  return screen.findByTestId('map-panel');
}

describe('the map in its states', () => {
  it('shows what the node knows', async () => {
    const { main } = await open('scene=normal&nodes=60');
    await vi.waitFor(async () => expect(await nodes()).toBe(60));
    expect(main.getByText(t('map.what', { peers: 4, nodes: 60 }))).toBeTruthy();
    expect(main.getByRole('application').getAttribute('aria-label')).toBe(t('map.label'));
    const rows = main.getAllByRole('row');
    expect(rows[1]!.textContent).toContain(t('map.you'));
  });

  it('is your own star while the node is off', async () => {
    const { app, main, user } = await open('scene=down');
    const alone = within(await main.findByTestId('map-alone'));
    expect(alone.getByText(t('map.alone.text'))).toBeTruthy();
    await user.click(alone.getByRole('button'));
    expect(app.navigation.view).toBe('home');
  });

  it('has no controls for a sky that was never seen', async () => {
    const { main } = await open('scene=stopped');
    expect(await main.findByTestId('service-away')).toBeTruthy();
    expect(main.queryByRole('button', { name: t('map.fit') })).toBeNull();
  });

  it('keeps the last picture when the service goes away, and asks it nothing', async () => {
    const { app, main } = await open('scene=normal&nodes=60');
    const panel = await choose('Ada');
    expect(within(panel).getByRole('button', { name: t('map.ping') })).toBeTruthy();
    app.service.connection = { state: 'stopped', since: 0 } as typeof app.service.connection;
    await vi.waitFor(() => expect(main.getByTestId('service-away')).toBeTruthy());
    expect(await nodes()).toBe(60);
    expect(within(panel).queryByRole('button', { name: t('map.ping') })).toBeNull();
  });
});

describe('a chosen node', () => {
  it('is found by name and asked about', async () => {
    const { backend } = await open('scene=normal&nodes=60');
    const ask = vi.spyOn(backend, 'ask');
    const panel = await choose('Ada');
    expect(within(panel).getByRole('heading', { level: 2 }).textContent).toBe('Ada');
    expect(within(panel).getByText(ada.address)).toBeTruthy();
    expect(ask).toHaveBeenCalledWith({ type: 'path', target: ada.key });
    expect(screen.getByTestId('map-said').textContent).toContain('Ada');
  });

  it('answers a ping', async () => {
    const { user } = await open('scene=normal&nodes=60');
    const panel = within(await choose('Ada'));
    await user.click(panel.getByRole('button', { name: t('map.ping') }));
    const said = panel.getByTestId('map-panel-said');
    await vi.waitFor(() => expect(said.textContent).not.toBe(''), { timeout: 8_000 });
  });

  it('tells of others when it is asked to', async () => {
    const { app, user } = await open('scene=normal&nodes=60');
    const talkative = /[^048c]$/;
    await vi.waitFor(() => expect(app.topology.snapshot).not.toBeNull());
    const { key } = app.topology.snapshot!.nodes.find(
      (node) => node.roles.includes('path') && talkative.test(node.key),
    )!;
    const panel = within(await choose(key.slice(0, 12)));
    await user.click(panel.getByRole('button', { name: t('map.explore') }));
    const said = panel.getByTestId('map-panel-said');
    await vi.waitFor(() => expect(said.textContent).toContain(t('map.explored', { count: 6 })));
    await vi.waitFor(async () => expect(await nodes()).toBe(66), { timeout: 3_000 });
  });

  it('opens the friend it is, or offers to become one', async () => {
    const { app, user } = await open('scene=normal&nodes=60');
    const panel = within(await choose('Ada'));
    await user.click(panel.getByRole('button', { name: t('map.show_friend') }));
    expect(app.navigation.sheet).toEqual({ kind: 'friend', key: ada.key });
    app.navigation.close();
    await user.click(panel.getByRole('button', { name: t('common.close') }));
    expect(screen.queryByTestId('map-panel')).toBeNull();
    const root = app.service.status!.root!;
    await choose(root.slice(0, 12));
    await user.click(screen.getByRole('button', { name: t('map.add_friend') }));
    expect(app.navigation.sheet).toEqual({ kind: 'add_friend', text: root });
  });

  it('is still chosen after a look at another view', async () => {
    const { app } = await open('scene=normal&nodes=60');
    await choose('Ada');
    app.navigation.go('home');
    await vi.waitFor(() => expect(screen.queryByTestId('map')).toBeNull());
    app.navigation.go('map');
    const panel = await screen.findByTestId('map-panel');
    expect(within(panel).getByRole('heading', { level: 2 }).textContent).toBe('Ada');
  });

  it('can be asked for by another view', async () => {
    const { app } = await open('scene=normal&nodes=60');
    app.navigation.go('home');
    app.navigation.go('map', { focus: ada.key });
    expect(await screen.findByTestId('map-panel')).toBeTruthy();
  });
});
