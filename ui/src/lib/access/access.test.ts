import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import App from '../../App.svelte';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import { rowsOf, type Known, type Row } from './rows';

const settled = () => new Promise((resolve) => setTimeout(resolve));

async function open(query: string) {
  const backend = new MockBackend(readScenario(`?frozen&${query}`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go('friends', { tab: 'reach' });
  render(App, { props: { app } });
  await settled();
  await settled();
  return { app, backend };
}

const row = (name: string, group: string) => {
  const rows = screen.getAllByTestId('access-row');
  const found = rows.find((one) => one.dataset.group === group && one.textContent?.includes(name));
  if (!found) throw new Error(`${name} is not in the table`);
  return found;
};

describe('What they may reach', () => {
  it('is one table of everyone, circles, members with more, and friends', async () => {
    await open('scene=normal');
    const table = screen.getByRole('table', { name: t('access.title') });
    const headers = within(table).getAllByRole('columnheader');
    expect(headers.map((one) => one.textContent?.trim())).toEqual([
      t('access.who'),
      t('access.services'),
      t('access.ping'),
      t('access.subnet'),
    ]);
    expect(row(t('access.everyone'), 'everyone').textContent).toContain(t('reach.nothing'));
    expect(row('Family', 'circles').textContent).toContain('file sharing, ssh');
    expect(row('Aurelie', 'members').textContent).toContain('port 8000');
    expect(row('Ada', 'friends').textContent).toContain(
      t('access.besides', { circles: 'Climbing club' }),
    );
    expect(row('Old phone', 'friends').textContent).toContain(t('access.blocked'));
    // An invitation that was not agreed to gives nobody anything.
    expect(table.textContent).not.toContain('Robotics lab');
  });

  it('leads to where each is changed', async () => {
    const { app } = await open('scene=normal');
    const change = async (name: string, group: string) => {
      await userEvent.click(within(row(name, group)).getByTestId('access-change'));
      const { sheet, tab } = app.navigation;
      app.navigation.close();
      await settled();
      return sheet ?? tab;
    };
    expect(await change('Family', 'circles')).toMatchObject({ kind: 'circle', part: 'reach' });
    expect(await change('Aurelie', 'members')).toMatchObject({ kind: 'circle', part: 'members' });
    expect(await change('Ada', 'friends')).toMatchObject({ kind: 'friend' });
    expect(await change(t('access.everyone'), 'everyone')).toBe('people');
  });

  it('follows what is changed', async () => {
    const { app } = await open('scene=normal');
    const family = app.circles.list?.find(({ name }) => name === 'Family');
    await app.circles.access(family?.id ?? '', { subnet: true, deny: ['tcp/22'] });
    await settled();
    const marks = within(row('Family', 'circles')).getAllByText(t('access.yes'));
    expect(marks).toHaveLength(2);
    expect(row('Family', 'circles').textContent).not.toContain('ssh');
    await app.circles.access(family?.id ?? '', { enabled: false });
    await settled();
    expect(row('Family', 'circles').textContent).toContain(t('circles.reach.paused'));
  });

  it('says who reached what, and who was refused', async () => {
    const { app } = await open('scene=normal');
    const visits = screen.getAllByTestId('visit');
    expect(visits).toHaveLength(6);
    expect(visits[0]?.textContent).toMatch(/Ada.*port 22 \(ssh\).*12 times/s);
    const refused = visits.filter((one) => one.dataset.outcome === 'refused');
    expect(refused).toHaveLength(2);
    expect(refused[0]?.textContent).toContain('“Nadia”');
    expect(refused[0]?.textContent).toContain(t('visits.refused'));
    await userEvent.click(within(visits[0] as HTMLElement).getByRole('button', { name: 'Ada' }));
    expect(app.navigation.sheet?.kind).toBe('friend');
  });

  it('lists a visit as soon as it was one', async () => {
    await open('questions=knock');
    await userEvent.click(screen.getByTestId('answer-once'));
    await settled();
    await settled();
    expect(screen.getAllByTestId('visit')[0]?.textContent).toContain('port 5900');
  });

  it('has a word for nobody, and for a list that could not be read', async () => {
    const { app, backend } = await open('scene=empty');
    expect(screen.getByTestId('visits-empty')).toBeTruthy();
    backend.ask = () =>
      Promise.reject(Object.assign(new Error('no'), { code: 'busy', hint: null }));
    await app.visits.load();
    await settled();
    expect(screen.getByText(t('visits.failed'))).toBeTruthy();
  });

  it('waits while the service is looked for', async () => {
    await open('scene=loading');
    expect(screen.queryByTestId('access-table')).toBeNull();
    expect(screen.getByTestId('loading')).toBeTruthy();
  });
});

describe('Rows', () => {
  const backend = new MockBackend(readScenario('?frozen'));
  const known = async (): Promise<Known> => {
    const { access } = await backend.ask({ type: 'status' });
    const { circles } = await backend.ask({ type: 'circle_list' });
    const { friends, everyone } = await backend.ask({ type: 'friend_list' });
    return { access, circles, everyone, friends, details: new Map() };
  };
  const echoes = (rows: Row[], group: Row['group']) =>
    rows.filter((one) => one.group === group).map(({ echo }) => echo);

  it('say what holds under the settings for all of them', async () => {
    const all = await known();
    const nobody = rowsOf({ ...all, access: { ...all.access, echo: 'nobody' } });
    expect(nobody.some(({ echo }) => echo)).toBe(false);
    const everyone = rowsOf({ ...all, access: { ...all.access, echo: 'everyone' } });
    expect(everyone.every(({ echo }) => echo)).toBe(true);
    const some = rowsOf(all);
    expect(echoes(some, 'everyone')).toEqual([false]);
    expect(new Set(echoes(some, 'friends'))).toEqual(new Set([true, false]));
    const open = rowsOf({ ...all, access: { ...all.access, inbound: 'everyone' } })[0];
    expect(open?.services).toEqual(['tcp/any', 'udp/any']);
  });
});
