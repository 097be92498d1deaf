// Settings that the palette finds, under the names that they have on the settings page. The page
// brings `focus` into sight.

import type { Key } from '../i18n/index.svelte';
import { ENTRIES, type EntryId, type Group } from '../settings/entries';

export interface SettingEntry {
  focus: EntryId;
  group: Group;
  label: Key;
  /** Further words by which it is found, separated by spaces. */
  words: Key | null;
}

const setting = (focus: EntryId, label: Key, words: Key | null = null): SettingEntry => ({
  focus,
  group: ENTRIES[focus].group,
  label,
  words,
});

export const settings: readonly SettingEntry[] = [
  setting('autostart', 'settings.autostart', 'settings.words.autostart'),
  setting('start_minimised', 'settings.start_minimised'),
  setting('notifications', 'settings.notifications'),
  setting('theme', 'settings.appearance.title', 'settings.words.appearance'),
  setting('tongue', 'settings.language.title', 'settings.words.language'),
  setting('listen', 'settings.listen', 'settings.words.listen'),
  setting('lan_look', 'settings.lan.look', 'settings.words.lan'),
  setting('transit_mode', 'settings.transit.mode', 'settings.words.transit'),
  setting('save_on_battery', 'settings.save_on_battery', 'settings.words.saving'),
  setting('save_on_metered', 'settings.save_on_metered', 'settings.words.saving'),
  setting('inbound', 'settings.inbound', 'settings.words.inbound'),
  setting('echo', 'settings.echo', 'settings.words.echo'),
  setting('sessions', 'settings.sessions'),
  setting('node_info', 'settings.node_info', 'settings.words.node_info'),
  setting('log', 'settings.log', 'settings.words.log'),
  setting('list_url', 'settings.public_list.url'),
  setting('gateway_socks', 'settings.gateway_socks', 'settings.words.proxies'),
  setting('gateway_http', 'settings.gateway_http', 'settings.words.proxies'),
  setting('forward_ports', 'settings.forwards', 'settings.words.forwards'),
  setting('metrics', 'settings.metrics', 'settings.words.metrics'),
  setting('who', 'settings.identity.who'),
  setting('backup', 'settings.identity.backup', 'settings.words.backup'),
  setting('import', 'settings.identity.import', 'settings.words.import'),
  setting('versions', 'settings.about', 'settings.words.about'),
];
