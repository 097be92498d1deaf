// The door to the shell: each command of src-tauri, by its name there.

import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { Backend, Events } from './backend';

export const tauri: Backend = {
  connection: () => invoke('connection'),
  ask: (request) => invoke('ask', { request }),
  watch: (topics) => invoke('watch', { topics }),
  supervise: (step) => invoke('supervise', { step }),
  readLink: (text) => invoke('read_link', { text }),
  pendingLinks: () => invoke('pending_links'),
  exportIdentity: (passphrase) => invoke('identity_export', { passphrase }),
  importIdentity: ({ text, passphrase, dry_run, replace }) =>
    invoke('identity_import', { text, passphrase, dryRun: dry_run, replace }),
  importSettings: ({ text, name, dry_run, replace, keep_identity }) =>
    invoke('settings_import', {
      text,
      name,
      dryRun: dry_run,
      replace,
      keepIdentity: keep_identity,
    }),
  recoveryWords: () => invoke('recovery_words'),
  recoveryKey: (words) => invoke('recovery_key', { words }),
  recoverySign: ({ words, operation }) => invoke('recovery_sign', { words, operation }),
  save: ({ name, kind, data }) => invoke('save', { name, kind, data }),
  copy: (text) => invoke('copy', { text }),
  preferences: () => invoke('preferences'),
  changePreferences: (change) => invoke('change_preferences', { change }),
  about: () => invoke('about'),
  quit: () => invoke('quit'),
  on<E extends keyof Events>(event: E, handler: (value: Events[E]) => void) {
    const listening = listen<Events[E]>(event, ({ payload }) => handler(payload));
    return () => {
      void listening.then((stop) => stop());
    };
  },
};
