// Checks the URIs of peers while they are typed, so that a slip is seen at once. The service
// decides; its rules are in node-core/runtime/src/links/uri.

/** What is wrong with a URI; texts are `peers.uri.…`. */
export type UriProblem =
  | 'no_scheme'
  | 'unknown_scheme'
  | 'not_built'
  | 'user_information'
  | 'no_host'
  | 'bad_host'
  | 'no_port'
  | 'bad_port'
  | 'trailing'
  | 'unknown_option'
  | 'bad_key'
  | 'too_long'
  | 'own_network'
  | 'exists'
  | 'twice';

export interface CheckedUri {
  /** As it was typed. */
  text: string;
  /** Scheme, host and port: what names the peer. `null` when it cannot be read. */
  name: string | null;
  problem: UriProblem | null;
}

const SCHEMES = ['tcp', 'tls', 'quic', 'ws', 'wss', 'unix', 'socks', 'sockstls'];
const OPTIONS = ['key', 'password', 'priority', 'maxbackoff', 'sni'];
const LENGTH_MAX = 2048;
const PORT_MAX = 65_535;

/** The URIs in a text that was typed or pasted, from a message or from a configuration file. */
export function urisIn(text: string): string[] {
  return text
    .split(/[\s,;]+/)
    .map((piece) => piece.replace(/^["'`<[(]+(?=[a-z]+:)|["'`>)]+$/gi, ''))
    .filter((piece) => piece !== '' && !/^[[\]{}]+$/.test(piece));
}

export interface Known {
  /** URIs that are peers already. */
  own: (uri: string) => boolean;
  /** Whether this node has a transport; `null` when that is not known. */
  dials: (transport: string) => boolean | null;
}

export function checkUris(text: string, known: Known): CheckedUri[] {
  const seen = new Set<string>();
  return urisIn(text).map((piece) => {
    const checked = checkUri(piece, known);
    if (checked.name === null || checked.problem !== null) return checked;
    if (seen.has(checked.name)) return { ...checked, problem: 'twice' };
    seen.add(checked.name);
    return checked;
  });
}

export function checkUri(text: string, known: Known): CheckedUri {
  const wrong = (problem: UriProblem): CheckedUri => ({ text, name: null, problem });
  if (text.length > LENGTH_MAX) return wrong('too_long');
  const parts = /^([^:/?#]*):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/.exec(text);
  if (!parts) return wrong('no_scheme');
  const [, written = '', authority = '', path = '', query = '', fragment = ''] = parts;
  const scheme = written.toLowerCase();
  if (!SCHEMES.includes(scheme)) return wrong('unknown_scheme');
  if (known.dials(scheme) === false) return wrong('not_built');
  // These have rules of their own, which only the service knows.
  if (['unix', 'socks', 'sockstls'].includes(scheme)) return { text, name: text, problem: null };
  if (authority.includes('@')) return wrong('user_information');
  if (fragment !== '' || (!scheme.startsWith('ws') && path.length > 1)) return wrong('trailing');
  const { host, port, problem } = splitPort(authority);
  if (problem) return wrong(problem);
  const option = problemOf(query);
  if (option) return wrong(option);
  const name = `${scheme}://${host.toLowerCase()}:${port}`;
  return { text, name, problem: known.own(name) ? 'exists' : null };
}

function splitPort(authority: string): { host: string; port: string; problem: UriProblem | null } {
  const wrong = (problem: UriProblem) => ({ host: '', port: '', problem });
  if (authority === '') return wrong('no_host');
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(authority);
  if (!parts) return wrong('bad_host');
  const [, host = '', port] = parts;
  if (host === '') return wrong('no_host');
  if (!isHost(host)) return wrong('bad_host');
  if (isOfThisNetwork(host)) return wrong('own_network');
  if (port === undefined || port === '') return wrong('no_port');
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > PORT_MAX) return wrong('bad_port');
  return { host, port: String(number), problem: null };
}

function isHost(host: string): boolean {
  if (host.startsWith('[')) return /^\[[0-9a-f:.]*:[0-9a-f:.]*(%.+)?\]$/i.test(host);
  if (/^[\d.]+$/.test(host)) return /^(\d{1,3}\.){3}\d{1,3}$/.test(host);
  return host.length <= 253 && /^[a-z0-9_]([a-z0-9_-]*\.)*[a-z0-9_-]*\.?$/i.test(host);
}

/** An address of the network itself leads nowhere before one is in it: `200::/7`. */
function isOfThisNetwork(host: string): boolean {
  return /^\[0?[23][0-9a-f]{2}:/i.test(host);
}

function problemOf(query: string): UriProblem | null {
  for (const pair of query.slice(1).split('&').filter(Boolean)) {
    const [name = '', value = ''] = pair.split('=', 2);
    if (!OPTIONS.includes(name)) return 'unknown_option';
    if (name === 'key' && !/^[0-9a-f]{64}$/i.test(value)) return 'bad_key';
  }
  return null;
}
