import { describe, expect, it } from 'vitest';
import type { Settings } from '$lib/api/protocol';
import { SETTINGS } from '$lib/api/mock/settings';
import { ENTRY_IDS, found } from './entries';
import { listeners, listenUri } from './listeners';
import { mayLimitSessions, wishNodeInfo, wishReach, wishSessions } from './privacy';

const settings = (more: Partial<Settings> = {}): Settings => ({ ...SETTINGS, ...more });

describe('a wish about privacy', () => {
  it('is done at once when it closes something', () => {
    for (const audience of ['nobody', 'circles'] as const) {
      const wish = wishReach(settings({ inbound: 'everyone' }), 'inbound', audience);
      expect(wish).toEqual({ change: { inbound: audience }, ask: null });
    }
    expect(wishSessions('circles').ask).toBeNull();
    expect(wishNodeInfo(true).ask).toBeNull();
  });

  it('is asked for when it opens something to everyone', () => {
    expect(wishReach(settings(), 'inbound', 'everyone').ask).toBe('inbound');
    expect(wishReach(settings(), 'echo', 'everyone').ask).toBe('echo');
    expect(wishSessions('everyone').ask).toBe('sessions');
    expect(wishNodeInfo(false).ask).toBe('node_info');
  });

  it('gives strangers the session that they need', () => {
    const { change } = wishReach(settings({ sessions: 'circles' }), 'echo', 'everyone');
    expect(change).toEqual({ echo: 'everyone', sessions: 'auto' });
    const wide = wishReach(settings({ sessions: 'everyone' }), 'echo', 'everyone');
    expect(wide.change).toEqual({ echo: 'everyone' });
  });

  it('limits sessions only while nothing is open', () => {
    expect(mayLimitSessions(settings())).toBe(true);
    expect(mayLimitSessions(settings({ inbound: 'everyone' }))).toBe(false);
    expect(mayLimitSessions(settings({ echo: 'everyone' }))).toBe(false);
  });
});

describe('listeners', () => {
  const running = (uri: string) => ({ uri, up: true, last_error: null });

  it('joins what is configured with what the service says', () => {
    const list = listeners(
      ['tls://[::]:9443', 'tcp://[::]:0', 'tcp://192.0.2.1:5'],
      [running('tcp://[::]:40123'), running('tls://[::]:9443'), running('tls://[::]:1')],
    );
    expect(list.map(({ uri, configured, status }) => [uri, configured, status?.uri])).toEqual([
      ['tls://[::]:9443', true, 'tls://[::]:9443'],
      ['tcp://[::]:0', true, 'tcp://[::]:40123'],
      ['tcp://192.0.2.1:5', true, undefined],
      ['tls://[::]:1', false, 'tls://[::]:1'],
    ]);
  });

  it('understands what people type', () => {
    expect(listenUri(' 9001 ')).toBe('tls://[::]:9001');
    expect(listenUri('[::]:9001')).toBe('tls://[::]:9001');
    expect(listenUri('tcp://[::]:9001')).toBe('tcp://[::]:9001');
  });
});

describe('search', () => {
  it('finds everything by nothing', () => {
    expect([...found('  ')]).toEqual(ENTRY_IDS);
  });

  it('finds a setting by its words, whatever their case and order', () => {
    expect([...found('PING')]).toContain('echo');
    expect([...found('dark')]).toEqual(['theme']);
    expect([...found('yggdrasil')]).toEqual(['import']);
    expect([...found('espanol')]).toEqual(['tongue']);
  });

  it('finds all of a group by its name', () => {
    expect([...found('public list')]).toEqual(['list_url', 'list_key', 'list_state']);
  });

  it('finds nothing by words that are nowhere', () => {
    expect(found('zeppelin').size).toBe(0);
  });
});
