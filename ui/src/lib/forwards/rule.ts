// A forwarded port as it is typed, and the rule that it makes. The service decides; what it is sure
// to refuse is said at once.

import type { ForwardProtocol, ForwardRule, ForwardWay } from '../api/protocol';
import { loopback, portOf } from './local';

export interface Draft {
  way: ForwardWay;
  protocol: ForwardProtocol;
  /** The port of this computer, or a loopback address with one. */
  here: string;
  /** Outward: the node, by address or name. */
  host: string;
  /** The port on the network. */
  port: string;
}

export type Field = 'here' | 'host' | 'port';
/** What is wrong with a field; texts are `forward.problem.…`. */
export type Problem = 'bad_port' | 'not_here' | 'bad_host' | 'not_there';

export const EMPTY: Draft = { way: 'out', protocol: 'tcp', here: '', host: '', port: '' };

/** What is wrong with what was typed; an empty field is only not finished. */
export function problems(draft: Draft, suffix: string): Partial<Record<Field, Problem>> {
  const found: Partial<Record<Field, Problem>> = {};
  const { here, port } = draft;
  if (here.trim() !== '' && loopback(here) === null) {
    found.here = /^\s*\d+\s*$/.test(here) ? 'bad_port' : 'not_here';
  }
  if (port.trim() !== '' && portOf(port) === null) found.port = 'bad_port';
  const host = hostProblem(draft, suffix);
  if (host !== null) found.host = host;
  return found;
}

/** The rule, or `null` while something is missing or wrong. */
export function ruleOf(draft: Draft, suffix: string): ForwardRule | null {
  const { way, protocol } = draft;
  const here = loopback(draft.here);
  const port = portOf(draft.port);
  if (here === null || port === null) return null;
  if (way === 'in') return { way, protocol, listen: String(port), target: here };
  if (draft.host.trim() === '' || hostProblem(draft, suffix) !== null) return null;
  return { way, protocol, listen: here, target: `${written(draft.host)}:${port}` };
}

/** A host as it stands before a port: IPv6 in brackets, names in lower case. */
function written(host: string): string {
  const bare = host
    .trim()
    .toLowerCase()
    .replace(/^\[|\]$/g, '');
  return bare.includes(':') ? `[${bare}]` : bare;
}

/** Only nodes of this network are reached through a forwarded port: it is no exit. */
function hostProblem({ way, host }: Draft, suffix: string): Problem | null {
  if (way === 'in' || host.trim() === '') return null;
  const name = written(host);
  if (name.startsWith('[')) {
    if (!URL.canParse(`http://${name}`)) return 'bad_host';
    return /^\[0?[23][0-9a-f]{2}:/.test(name) ? null : 'not_there';
  }
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name) || name.length > 253) return 'bad_host';
  return name.endsWith(`.${suffix}`) ? null : 'not_there';
}

/** The two ends of a rule: where connections are taken, and where they go. */
export function ends({ way, listen, target }: ForwardRule): { from: string; to: string } {
  return way === 'out' ? { from: listen, to: target } : { from: `:${listen}`, to: target };
}
