// The one door to everything outside the page. There are two behind it: the shell (tauri.ts) and a
// service that lives in the page (mock/), for tests, pictures and work in a browser.

import type { IdentityImport, Reply, Request, SettingsImport, Topic, Traffic } from './protocol';
import type { About, Connection, Link, Preferences, SavedFile, Step } from './shell';

export type { JoinPreview, Link } from './shell';

/** Which answer belongs to which request, as the table in docs/ipc.md has it. */
export interface Answers {
  status: 'status';
  up: 'status';
  down: 'status';
  pause: 'status';
  resume: 'status';
  peer_add: 'peer';
  peer_remove: 'peer';
  peer_pause: 'peer';
  peer_resume: 'peer';
  peer_public: 'public_peers';
  peer_public_refresh: 'public_peers';
  peer_test: 'peer_job';
  peer_choose: 'peer_job';
  peer_job: 'peer_job';
  peer_job_cancel: 'peer_job';
  topology: 'topology';
  explore: 'explored';
  path: 'path';
  ping: 'ping';
  doctor: 'doctor';
  report: 'report';
  logs: 'logs';
  identity_show: 'identity';
  friend_list: 'friends';
  friend_blocked: 'blocked_keys';
  friend_add: 'friend';
  friend_remove: 'friend';
  friend_change: 'friend';
  friend_block: 'blocked_key';
  friend_unblock: 'blocked_key';
  friend_import: 'imported';
  open_change: 'open';
  share: 'shared';
  circle_list: 'circles';
  circle_show: 'circle';
  circle_create: 'circle';
  circle_draft: 'circle_draft';
  circle_submit: 'circle';
  circle_change: 'circle';
  circle_add: 'circle';
  circle_remove: 'circle';
  circle_accept: 'circle';
  circle_leave: 'circle';
  circle_forget: 'circle';
  circle_access: 'circle';
  circle_join: 'circle';
  member_access: 'circle';
  invite_create: 'invite';
  invite_list: 'invites';
  invite_revoke: 'invite';
  question_answer: 'status';
  visit_list: 'visits';
  lan_trust: 'status';
  forward_list: 'forwards';
  forward_add: 'forward';
  forward_remove: 'forward';
  settings: 'settings';
  settings_change: 'settings';
}

/** A request that the page may make. */
export type Asked = Extract<Request, { type: keyof Answers }>;
export type ReplyTo<R extends Asked> = Extract<Reply, { type: Answers[R['type']] }>;

/** Why something was not done: matched by `code`, never by text. */
export interface Failure {
  code: string;
  message: string;
  hint: string | null;
}

export function isFailure(value: unknown): value is Failure {
  if (value === null || typeof value !== 'object') return false;
  return 'code' in value && typeof value.code === 'string' && 'message' in value;
}

/** What comes without being asked for. */
export interface Events {
  connection: Connection;
  traffic: Traffic;
  topology: { revision: number };
  friends: { revision: number };
  circles: { revision: number };
  link: { text: string };
  show: { view: string };
}

export interface Backend {
  connection(): Promise<Connection>;
  /** Passes a request on to the service. Fails with a `Failure`. */
  ask<R extends Asked>(request: R): Promise<ReplyTo<R>>;
  /** Which updates are wanted beside the connection; those not named end. */
  watch(topics: Topic[]): Promise<void>;
  /** Installs, starts or restarts the service through the system, which asks for its rights. */
  supervise(step: Step): Promise<void>;
  /** Reads a friend's link, an invite, a key or an address; stores nothing. */
  readLink(text: string): Promise<Link>;
  pendingLinks(): Promise<string[]>;
  /** `null` when the person thought better of it, here and below. */
  exportIdentity(passphrase: string): Promise<SavedFile | null>;
  importIdentity(wish: {
    text: string;
    passphrase: string | null;
    dry_run: boolean;
    replace: boolean;
  }): Promise<IdentityImport>;
  importSettings(wish: {
    text: string;
    name: string;
    dry_run: boolean;
    replace: boolean;
    keep_identity: boolean;
  }): Promise<SettingsImport>;
  /** Makes a key that is kept on paper, as 24 words. They are not kept here. */
  recoveryWords(): Promise<{ words: string[]; key: string }>;
  /** The key that words stand for. Fails with `invalid_words`. */
  recoveryKey(words: string): Promise<{ key: string }>;
  /** Signs a draft of the service with the key that words stand for. */
  recoverySign(wish: { words: string; operation: string }): Promise<{ operation: string }>;
  /** Lets the person choose where to save; `data` is text, or base64 of a picture. */
  save(file: { name: string; kind: 'text' | 'png'; data: string }): Promise<SavedFile | null>;
  copy(text: string): Promise<void>;
  preferences(): Promise<Preferences>;
  changePreferences(change: Partial<Preferences>): Promise<Preferences>;
  about(): Promise<About>;
  quit(): Promise<void>;
  /** Calls `handler` for each event until the returned function is called. */
  on<E extends keyof Events>(event: E, handler: (value: Events[E]) => void): () => void;
}
