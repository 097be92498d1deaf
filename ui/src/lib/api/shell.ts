// Written by scripts/types.mjs from src-tauri/schema.json; run `npm run types`.

import type {
  Friend,
  Status,
} from './protocol';

/** Versions of what is at work. */
export type About = {
  /** Licence of the app. */
  licence: string;
  /** Version of the control API that the app speaks. */
  protocol: number;
  /** Version of the service, or `null` when it does not answer. */
  service_version: string | null;
  /** Operating system and processor. */
  system: string;
  /** Version of the app. */
  version: string;
};

/** Why there is nobody to ask. */
export type Absence = "not_installed" | "stopped" | "no_permission" | "version_mismatch" | "untrusted" | "unreachable";

/** Why there is nobody to ask, and what can be done about it. */
export type Absent = {
  /** Whether `supervise` can do the step here. */
  can_supervise: boolean;
  /** The line that mends it, for a terminal, or `null` where there is none. */
  command: string | null;
  /** What was seen besides, as whole sentences in English; empty when nothing was. */
  details: string;
  /** What happened, in English. Lower case, no full stop. */
  message: string;
  /** The socket that was tried. */
  place: string;
  /** When the next attempt is, in seconds from when this was said. */
  retry_in_s: number;
  /** Since when. */
  since: number;
  /** Which case it is. */
  state: Absence;
  /** What the system's service manager can do about it, or `null`. */
  step: Step | null;
};

/** Light or dark. */
export type Appearance = "system" | "light" | "dark";

/** Where the app stands with the service. */
export type Connection = {
  /** Since when. */
  since: number;
  state: "connecting";
} | {
  /** The socket it listens on. */
  place: string;
  /** What may be asked of it. */
  rights: Rights;
  /** Since when. */
  since: number;
  state: "ready";
  /** Its state, whole. */
  status: Status;
} | Absent;

/** Why something was not done. Pages match `code`(Self::code), people read the rest. */
export type Failure = {
  /** The service's code, or one of these: `connecting`, `not_installed`, `stopped`, `no_permission`, `version_mismatch`, `untrusted`, `unreachable`, `connection_lost`, `cancelled`, `file`, `invalid_link`. */
  code: string;
  /** What the person can do about it, or `null` when nothing can be done. */
  hint: string | null;
  /** What happened. Lower case, no full stop. */
  message: string;
};

/** A language of the app. */
export type Language = "en" | "de" | "fr" | "es" | "ru";

/** The language of the app. */
export type LanguageChoice = "system" | Language;

/** What a preview was read from. */
export type LinkKind = "friend" | "key" | "address";

/** Somebody who may become a friend. */
export type LinkPreview = {
  /** The address. */
  address: string;
  /** Whether it is blocked. */
  blocked: boolean;
  /** The key, or `null` for an address: the network is asked for its key when it is added. */
  key: string | null;
  /** What it was read from. */
  kind: LinkKind;
  /** The friend it is already, or `null`. */
  known: Friend | null;
  /** What its owner calls it, or `null`. */
  name: string | null;
  /** Whether it is this node itself. */
  own: boolean;
  /** Peers that its owner suggests. */
  peers: string[];
};

/** What the person chose for the app itself. */
export type Preferences = {
  /** Light or dark. */
  appearance: Appearance;
  /** Whether the app starts when the person signs in. The system keeps this one. */
  autostart: boolean;
  /** The language of the app. */
  language: LanguageChoice;
  /** Whether a connection that is lost or regained is told by the system's notifications. */
  notifications: boolean;
  /** Whether the app that was started so shows no window. */
  start_minimised: boolean;
  /** Whether the first steps were gone through. */
  welcomed: boolean;
};

/** A change of the preferences; what is absent stays. */
export type PreferencesChange = {
  /** Light or dark. */
  appearance?: Appearance | null;
  /** Whether the app starts when the person signs in. */
  autostart?: boolean | null;
  /** The language of the app. */
  language?: LanguageChoice | null;
  /** Whether a connection that is lost or regained is told. */
  notifications?: boolean | null;
  /** Whether the app that was started so shows no window. */
  start_minimised?: boolean | null;
  /** Whether the first steps were gone through. */
  welcomed?: boolean | null;
};

/** What may be asked of the service. */
export type Rights = "change" | "admin";

/** What pages save. */
export type SaveKind = "text" | "png";

/** A file that was saved. */
export type SavedFile = {
  /** Where it is. */
  file: string;
};

/** What the system's service manager can be asked to do. */
export type Step = "install" | "start" | "restart";

/** A view that the tray can ask for. */
export type View = "settings";
