// Settings that the palette finds. The settings view brings the part with the id `focus` into sight
// (`navigation.focus`); the words beside the label are what people type when they look for it.

import type { Key } from '../i18n/index.svelte';
import type { View } from '../stores/navigation.svelte';

export interface SettingEntry {
  id: string;
  label: Key;
  /** Further words by which it is found, separated by spaces. */
  words: Key;
  view: View;
  focus: string;
}

const setting = (focus: string, label: Key, words: Key): SettingEntry => ({
  id: `setting.${focus}`,
  label,
  words,
  view: 'settings',
  focus,
});

export const settings: readonly SettingEntry[] = [
  setting('general', 'palette.setting.general', 'palette.setting.general.words'),
  setting('appearance', 'palette.setting.appearance', 'palette.setting.appearance.words'),
  setting('language', 'palette.setting.language', 'palette.setting.language.words'),
  setting('listen', 'palette.setting.listen', 'palette.setting.listen.words'),
  setting('privacy', 'palette.setting.privacy', 'palette.setting.privacy.words'),
  setting('log', 'palette.setting.log', 'palette.setting.log.words'),
  setting('public_list', 'palette.setting.public_list', 'palette.setting.public_list.words'),
  setting('identity', 'palette.setting.identity', 'palette.setting.identity.words'),
  setting('about', 'palette.setting.about', 'palette.setting.about.words'),
];
