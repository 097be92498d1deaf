// Written by scripts/types.mjs from src-tauri/schema.json; run `npm run types`.

import type { Friend, Status } from './protocol';

export type Absence =
  | 'not_installed'
  | 'stopped'
  | 'no_permission'
  | 'version_mismatch'
  | 'untrusted'
  | 'unreachable';

export type Connection =
  | { state: 'connecting'; since: number }
  | {
      state: Absence;
      since: number;
      message: string;
      place: string;
      command: string | null;
      can_supervise: boolean;
      retry_in_s: number | null;
    }
  | { state: 'ready'; since: number; place: string; rights: 'read' | 'change' | 'admin'; status: Status };

export type LinkPreview = {
  kind: 'friend' | 'key' | 'address';
  key: string | null;
  address: string;
  name: string | null;
  peers: string[];
  own: boolean;
  known: Friend | null;
};

export type Preferences = {
  language: 'system' | 'en' | 'de' | 'fr' | 'es' | 'ru';
  appearance: 'system' | 'light' | 'dark';
  autostart: boolean;
  start_minimised: boolean;
  notifications: boolean;
  welcomed: boolean;
};

export type About = {
  version: string;
  protocol: number;
  system: string;
  service_version: string | null;
};

export type SavedFile = { file: string };
export type Step = 'install' | 'start' | 'restart';
