import { beforeEach, describe, expect, it } from 'vitest';
import { MockBackend } from '../api/mock/backend';
import { readScenario } from '../api/mock/scenario';
import type { Settings as Values } from '../api/protocol';
import { inverse, Settings } from './settings.svelte';

const open = (query = '') => new Settings(new MockBackend(readScenario(`?frozen&${query}`)));

describe('settings', () => {
  let settings: Settings;
  beforeEach(async () => {
    settings = open();
    await settings.load();
  });

  it('takes every change back with what it answers', async () => {
    const before = settings.values;
    const undo = await settings.change({
      inbound: 'everyone',
      echo: 'nobody',
      sessions: 'everyone',
      lan: false,
      transit: 'relay',
      save_on_battery: false,
      save_on_metered: false,
      gateway_socks: '127.0.0.1:1080',
      gateway_http: '127.0.0.1:8080',
      metrics: '[::1]:9090',
      node_info_privacy: false,
      log_level: 'debug',
      listen_remove: ['tls://[::]:9443'],
      listen_add: ['tcp://[::]:9001?password=secret'],
      public_list_url: '',
      public_list_key: 'ab'.repeat(32),
    });
    expect(settings.values?.listen).toEqual(['tcp://[::]:9001']);
    expect(settings.values?.public_list).toEqual({ url: null, key: 'ab'.repeat(32) });
    await settings.change(undo);
    expect(settings.values).toEqual(before);
  });

  it('takes back no change of somebody else', async () => {
    await settings.backend.ask({ type: 'settings_change', change: { log_level: 'warn' } });
    expect(await settings.change({ echo: 'nobody' })).toEqual({ echo: 'circles' });
    expect(settings.values?.log_level).toBe('warn');
  });

  it('keeps what is when a change is refused', async () => {
    const before = settings.values;
    const wish = { echo: 'nobody', listen_add: ['tcp://[::]:80'] } as const;
    const { echo } = wish;
    await expect(settings.change({ echo, listen_add: [...wish.listen_add] })).rejects.toMatchObject(
      { code: 'cannot_listen' },
    );
    expect(settings.values).toEqual(before);
  });

  it('says why it has none while the service is away', async () => {
    const away = open('scene=stopped');
    await away.load();
    expect(away.values).toBeNull();
    expect(away.failure?.code).toBe('stopped');
  });
});

it('needs nothing to lead from a state to itself', async () => {
  const settings = open();
  await settings.load();
  const values = settings.values as Values;
  expect(inverse(values, values)).toEqual({});
});
