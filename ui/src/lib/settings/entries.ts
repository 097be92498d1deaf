// The groups of the settings page and what is in each, for its search. A setting is found by its
// title, its explanation and the words people look for it by.

import { t, type Key } from '$lib/i18n/index.svelte';

export const GROUPS = [
  'general',
  'appearance',
  'language',
  'peers',
  'lan',
  'public_list',
  'transit',
  'privacy',
  'names',
  'proxies',
  'forwards',
  'monitoring',
  'identity',
  'about',
] as const;
export type Group = (typeof GROUPS)[number];

interface Entry {
  group: Group;
  /** Everything it is found by. */
  keys: readonly Key[];
}

export const ENTRIES = {
  autostart: {
    group: 'general',
    keys: ['settings.autostart', 'settings.autostart.hint', 'settings.words.autostart'],
  },
  start_minimised: {
    group: 'general',
    keys: ['settings.start_minimised', 'settings.start_minimised.hint'],
  },
  notifications: {
    group: 'general',
    keys: ['settings.notifications', 'settings.notifications.hint'],
  },
  theme: {
    group: 'appearance',
    keys: [
      'settings.appearance.hint',
      'settings.appearance.light',
      'settings.appearance.dark',
      'settings.words.appearance',
    ],
  },
  tongue: { group: 'language', keys: ['settings.language.hint', 'settings.words.language'] },
  peer_list: { group: 'peers', keys: ['settings.peer_list'] },
  listen: {
    group: 'peers',
    keys: ['settings.listen', 'settings.listen.hint', 'settings.words.listen'],
  },
  lan_look: {
    group: 'lan',
    keys: ['settings.lan.look', 'settings.lan.look.hint', 'settings.words.lan'],
  },
  lan_networks: {
    group: 'lan',
    keys: ['settings.lan.networks', 'settings.words.lan'],
  },
  list_url: {
    group: 'public_list',
    keys: ['settings.public_list.url', 'settings.public_list.url.hint'],
  },
  list_key: {
    group: 'public_list',
    keys: ['settings.public_list.key', 'settings.public_list.key.hint'],
  },
  list_state: {
    group: 'public_list',
    keys: ['settings.public_list.state', 'settings.public_list.refresh'],
  },
  transit_mode: {
    group: 'transit',
    keys: ['settings.transit.mode', 'settings.words.transit'],
  },
  save_on_battery: {
    group: 'transit',
    keys: ['settings.save_on_battery', 'settings.words.saving'],
  },
  save_on_metered: {
    group: 'transit',
    keys: ['settings.save_on_metered', 'settings.words.saving'],
  },
  inbound: { group: 'privacy', keys: ['settings.inbound', 'settings.words.inbound'] },
  echo: { group: 'privacy', keys: ['settings.echo', 'settings.words.echo'] },
  sessions: { group: 'privacy', keys: ['settings.sessions', 'settings.sessions.hint'] },
  node_info: {
    group: 'privacy',
    keys: ['settings.node_info', 'settings.node_info.hint', 'settings.words.node_info'],
  },
  log: { group: 'privacy', keys: ['settings.log', 'settings.log.hint', 'settings.words.log'] },
  friend_names: {
    group: 'names',
    keys: ['settings.friend_names', 'settings.words.friend_names'],
  },
  gateway_socks: {
    group: 'proxies',
    keys: ['settings.gateway_socks', 'settings.gateway_socks.hint', 'settings.words.proxies'],
  },
  gateway_http: {
    group: 'proxies',
    keys: ['settings.gateway_http', 'settings.gateway_http.hint', 'settings.words.proxies'],
  },
  forward_ports: {
    group: 'forwards',
    keys: [
      'settings.forwards.ports',
      'settings.forwards.hint',
      'forward.add',
      'settings.words.forwards',
    ],
  },
  metrics: {
    group: 'monitoring',
    keys: ['settings.metrics', 'settings.metrics.hint', 'settings.words.metrics'],
  },
  who: {
    group: 'identity',
    keys: [
      'settings.identity.who',
      'settings.identity.who.hint',
      'settings.identity.address',
      'settings.identity.key',
    ],
  },
  backup: {
    group: 'identity',
    keys: ['settings.identity.backup', 'settings.identity.backup.hint', 'settings.words.backup'],
  },
  import: {
    group: 'identity',
    keys: ['settings.identity.import', 'settings.identity.import.hint', 'settings.words.import'],
  },
  release_check: {
    group: 'about',
    keys: ['releases.check', 'releases.check.hint', 'releases.words'],
  },
  versions: {
    group: 'about',
    keys: [
      'settings.about.app',
      'settings.about.service',
      'settings.about.system',
      'settings.about.protocol',
      'settings.about.licence',
      'settings.words.about',
    ],
  },
  places: {
    group: 'about',
    keys: ['settings.about.config', 'settings.about.socket', 'settings.about.log'],
  },
} as const satisfies Record<string, Entry>;
export type EntryId = keyof typeof ENTRIES;
export const ENTRY_IDS = Object.keys(ENTRIES) as EntryId[];

/** The settings in which every word of `query` occurs, in the order of the page. */
export function found(query: string): ReadonlySet<EntryId> {
  const words = plain(query).split(/\s+/).filter(Boolean);
  const matches = (id: EntryId) => {
    const { group, keys } = ENTRIES[id];
    const text = plain([`settings.${group}` as const, ...keys].map((key) => t(key)).join(' '));
    return words.every((word) => text.includes(word));
  };
  return new Set(ENTRY_IDS.filter(matches));
}

/** Without case and accents, so that `über` is found by `uber`. */
function plain(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{Diacritic}/gu, '')
    .toLowerCase();
}

/** What `focus` of the navigation means: a setting, a group, or nothing here. */
export function isEntry(name: string): name is EntryId {
  return Object.hasOwn(ENTRIES, name);
}

export function isGroup(name: string): name is Group {
  return (GROUPS as readonly string[]).includes(name);
}
