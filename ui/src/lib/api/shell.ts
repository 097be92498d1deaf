// Written by scripts/types.mjs from src-tauri/schema.json; run `npm run types`.

import type {
  CircleState,
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
  /** The service's code, or one of these: `connecting`, `not_installed`, `stopped`, `no_permission`, `version_mismatch`, `untrusted`, `unreachable`, `connection_lost`, `cancelled`, `file`, `invalid_link`, `invalid_words`. */
  code: string;
  /** What the person can do about it, or `null` when nothing can be done. */
  hint: string | null;
  /** What happened. Lower case, no full stop. */
  message: string;
};

/** Who made an invite. */
export type Inviter = {
  /** Its address. */
  address: string;
  /** Whether it is blocked. */
  blocked: boolean;
  /** Its key. */
  key: string;
  /** The friend it is, or `null`. */
  known: Friend | null;
};

/** Stands in an invite where another preview says what it was read from. */
export type JoinKind = "join";

/** An invite to a circle. The token in it is not among this. */
export type JoinPreview = {
  /** The circle. */
  circle: string;
  /** Whether it is. */
  expired: boolean;
  /** When the link is over. */
  expires_at: number;
  /** Who made the link, and alone lets guests in. */
  inviter: Inviter;
  /** Tells it from the others. */
  kind: JoinKind;
  /** How this computer stands to the circle already, or `null` if it does not know it. */
  known: CircleState | null;
  /** What the link calls the circle. Nobody has checked it. */
  name: string;
  /** Whether this node made it. */
  own: boolean;
  /** Peers that the inviter suggests. */
  peers: string[];
};

/** A language of the app. */
export type Language = "en" | "de" | "fr" | "es" | "ru";

/** The language of the app. */
export type LanguageChoice = "system" | Language;

/** What a person was given. */
export type Link = LinkPreview | JoinPreview;

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

/** A key on paper, without the words. */
export type PaperKey = {
  /** The key. */
  key: string;
};

/** What the person chose for the app itself. */
export type Preferences = {
  /** Light or dark. */
  appearance: Appearance;
  /** Whether the app starts when the person signs in. The system keeps this one. */
  autostart: boolean;
  /** The language of the app. */
  language: LanguageChoice;
  /** Whether the system's notifications tell of a connection that is lost or regained, and of questions that wait. */
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
  /** Whether notifications tell of the connection and of questions. */
  notifications?: boolean | null;
  /** Whether the app that was started so shows no window. */
  start_minimised?: boolean | null;
  /** Whether the first steps were gone through. */
  welcomed?: boolean | null;
};

/** A new key on paper. */
export type RecoveryWords = {
  /** The key that they stand for. */
  key: string;
  /** The 24 words that the person writes down, in their order. */
  words: string[];
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

/** What a key on paper signed. */
export type SignedOperation = {
  /** What the service prepared, and the signature, in Base64. */
  operation: string;
};

/** What the system's service manager can be asked to do. */
export type Step = "install" | "start" | "restart";

/** What the tray and notifications can ask for. */
export type View = "settings" | "questions";
