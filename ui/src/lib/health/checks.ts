// The checklist: a person's questions in their order, each with the service's answers to it. When
// the service cannot be asked, what the app itself found stands first, and the rest is unknown.

import type { Failure } from '../api/backend';
import type { HealthItem, Severity } from '../api/protocol';
import type { Connection } from '../api/shell';

/** The questions and the codes of their answers, good ones first: `docs/ipc.md`, "Health". */
export const QUESTIONS = {
  service: [
    'service',
    'control_socket',
    'version_differs',
    'not_installed',
    'stopped',
    'no_permission',
    'version_mismatch',
    'untrusted',
    'unreachable',
    'connection_lost',
    'too_many_clients',
    'deadline_exceeded',
  ],
  identity: ['identity', 'identity_exposed'],
  settings: [
    'config',
    'state',
    'config_not_read',
    'config_exposed',
    'open_unreachable',
    'intent_damaged',
    'sequence_damaged',
    'friends_damaged',
    'circles_damaged',
    'circles_not_stored',
    'chosen_peers_damaged',
    'paused_peers_damaged',
    'peer_statistics_damaged',
    'public_list_damaged',
    'networks_damaged',
    'forwards_damaged',
    'web_certificate',
    'metrics_failed',
    'admin_not_listening',
    'state_not_stored',
  ],
  power: ['up', 'down', 'node_not_started', 'node_broken'],
  interface: [
    'tun',
    'rights',
    'tun_lost',
    'unguarded',
    'interface_changed',
    'mtu_changed',
    'route_missing',
    'rights_missing',
  ],
  clash: ['alone', 'network_clash', 'other_node'],
  names: ['names', 'hosts', 'names_not_resolved', 'names_not_asked'],
  peers: [
    'peers',
    'listen',
    'no_peers_configured',
    'no_peer_connected',
    'peer_refused',
    'peer_down',
    'peer_replaced',
    'listener_failed',
  ],
  tree: ['tree', 'root_changes'],
  proof: ['proof', 'no_answer'],
  clock: ['clock', 'clock_before_release', 'clock_differs', 'clock_jumped'],
  room: ['room', 'files_scarce', 'memory_scarce', 'disk_scarce'],
  /** What no question above knows. */
  other: ['lan_not_trusted', 'saving', 'not_checked'],
} as const satisfies Record<string, readonly string[]>;
export type Question = keyof typeof QUESTIONS;
export const questions = Object.keys(QUESTIONS) as Question[];
/** The questions that always have their place; `other` only when there is something to say. */
export const asked = questions.filter((question) => question !== 'other');

/** Why there is no answer to a question. */
export type Unknown = 'service' | 'down' | 'peers';

export interface Line {
  /** Unique in the list. */
  id: string;
  question: Question;
  state: Severity | 'unknown';
  /** The answer that names the line; `null` when there is none. */
  code: string | null;
  /** What was said: one problem, or all that was found good. Empty when there is no answer. */
  items: HealthItem[];
  unknown: Unknown | null;
}

const questionOf = new Map<string, Question>(
  questions.flatMap((question) => QUESTIONS[question].map((code) => [code, question] as const)),
);

/** The lines of what the service found. */
export function checklist(items: readonly HealthItem[]): Line[] {
  const answers = new Map<Question, HealthItem[]>();
  for (const item of items) {
    const question = questionOf.get(item.code) ?? 'other';
    answers.set(question, [...(answers.get(question) ?? []), item]);
  }
  const unknown = whyUnknown(items);
  return questions.flatMap((question) => {
    const found = answers.get(question) ?? [];
    const problems = found.filter((item) => item.severity !== 'ok');
    if (problems.length > 0) {
      return problems.map((item, at) => line(question, [item], at));
    }
    if (found.length > 0) return [line(question, inOrder(question, found), 0)];
    const needing = unknown === 'peers' ? BEYOND_PEERS : NEEDS_NODE;
    return unknown && needing.includes(question) ? [unanswered(question, unknown)] : [];
  });
}

/** The lines when the service cannot be asked: what keeps it, and what is unknown because of it. */
export function withoutService(reason: { code: string; text: string; action: string | null }) {
  const { code, text, action } = reason;
  const known = questionOf.get(code) === 'service' ? code : 'unreachable';
  const item: HealthItem = {
    code: known,
    severity: 'error',
    title: known,
    text,
    action,
    affects_connectivity: true,
    since: null,
  };
  const rest = asked.filter((question) => question !== 'service');
  return [line('service', [item], 0), ...rest.map((question) => unanswered(question, 'service'))];
}

/** What the app knows of a service that is away; `null` while it is there or looked for. */
export function absence(connection: Connection) {
  if (connection.state === 'connecting' || connection.state === 'ready') return null;
  const { state, message, place, command } = connection;
  return { code: state, text: `${message} (${place})`, action: command };
}

export function failed(failure: Failure) {
  return { code: failure.code, text: failure.message, action: failure.hint };
}

/** What to tell first: the first thing that is wrong, the worst before the others. */
export function verdict(lines: readonly Line[]): Line | null {
  const first = (state: Line['state']) => lines.find((one) => one.state === state);
  return first('error') ?? first('warning') ?? lines.find((one) => one.code === 'down') ?? null;
}

const NEEDS_NODE: readonly Question[] = ['interface', 'clash', 'names', 'peers', 'tree', 'proof'];
const BEYOND_PEERS: readonly Question[] = ['tree', 'proof'];
const NO_PEERS = ['no_peers_configured', 'no_peer_connected'];

function whyUnknown(items: readonly HealthItem[]): Unknown | null {
  if (items.some((item) => item.code === 'down')) return 'down';
  if (items.some((item) => NO_PEERS.includes(item.code))) return 'peers';
  return null;
}

/** The answers as the question lists them, so that the first names the line. */
function inOrder(question: Question, found: HealthItem[]): HealthItem[] {
  const codes: readonly string[] = QUESTIONS[question];
  return found.sort((a, b) => codes.indexOf(a.code) - codes.indexOf(b.code));
}

function line(question: Question, items: HealthItem[], at: number): Line {
  const [first] = items;
  const code = first?.code ?? null;
  const id = `${question}/${code ?? ''}/${at}`;
  return { id, question, state: first?.severity ?? 'unknown', code, items, unknown: null };
}

function unanswered(question: Question, unknown: Unknown): Line {
  return { id: question, question, state: 'unknown', code: null, items: [], unknown };
}
