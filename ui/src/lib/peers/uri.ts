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
  | 'no_destination'
  | 'bad_path'
  | 'socket_host'
  | 'bad_socket'
  | 'no_sni'
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

const OPTIONS = ['key', 'password', 'priority', 'maxbackoff', 'sni'];
/** What a transport takes beside host and port. */
interface Rules {
  /** Whether a user name and a password may stand before the host. */
  login?: boolean;
  /** Whether it names a TLS server. */
  sni?: boolean;
  /** What follows host and port: a path on a web server, or the node behind a proxy. */
  path?: 'web' | 'node';
}
const SCHEMES = new Map<string, Rules>([
  ['tcp', {}],
  ['tls', { sni: true }],
  ['quic', { sni: true }],
  ['ws', { login: true, path: 'web' }],
  ['wss', { login: true, path: 'web', sni: true }],
  ['unix', {}],
  ['socks', { login: true, path: 'node' }],
  ['sockstls', { login: true, path: 'node', sni: true }],
]);
const LENGTH_MAX = 2048;
const PORT_MAX = 65_535;
/** What fits into the system's address of a socket file. */
const SOCKET_PATH_MAX = 107;

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
  const rules = SCHEMES.get(scheme);
  if (!rules) return wrong('unknown_scheme');
  if (known.dials(scheme) === false) return wrong('not_built');
  if (fragment !== '') return wrong('trailing');
  const place = scheme === 'unix' ? socketFile(authority, path) : network(authority, path, rules);
  if (typeof place !== 'string') return wrong(place.problem);
  const option = problemOf(query, rules);
  if (option) return wrong(option);
  const name = `${scheme}://${place}`;
  return { text, name, problem: known.own(name) ? 'exists' : null };
}

type Wrong = { problem: UriProblem };

function socketFile(authority: string, path: string): string | Wrong {
  if (authority !== '') return { problem: 'socket_host' };
  const fits = path.length > 1 && !path.endsWith('/') && path.length <= SOCKET_PATH_MAX;
  return fits ? path : { problem: 'bad_socket' };
}

/** Host, port and what follows them, as they name the peer: without user name and password. */
function network(written: string, path: string, { login, path: kind }: Rules): string | Wrong {
  const at = written.lastIndexOf('@');
  if (at >= 0 && !login) return { problem: 'user_information' };
  const endpoint = splitPort(written.slice(at + 1));
  if (typeof endpoint !== 'string') return endpoint;
  const rest = path === '/' ? '' : path;
  if (kind === 'node') {
    const behind = rest.replace(/^\/|\/$/g, '');
    if (behind === '') return { problem: 'no_destination' };
    const node = splitPort(behind);
    return typeof node === 'string' ? `${endpoint}/${node}` : node;
  }
  if (kind === 'web') return /[&;=@]/.test(rest) ? { problem: 'bad_path' } : endpoint + rest;
  return rest === '' ? endpoint : { problem: 'trailing' };
}

function splitPort(authority: string): string | Wrong {
  if (authority === '') return { problem: 'no_host' };
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(authority);
  if (!parts) return { problem: 'bad_host' };
  const [, host = '', port] = parts;
  if (host === '') return { problem: 'no_host' };
  if (!isHost(host)) return { problem: 'bad_host' };
  if (isOfThisNetwork(host)) return { problem: 'own_network' };
  if (port === undefined || port === '') return { problem: 'no_port' };
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > PORT_MAX) return { problem: 'bad_port' };
  return `${host.toLowerCase()}:${number}`;
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

function problemOf(query: string, { sni = false }: Rules): UriProblem | null {
  for (const pair of query.slice(1).split('&').filter(Boolean)) {
    const [name = '', value = ''] = pair.split('=', 2);
    if (!OPTIONS.includes(name)) return 'unknown_option';
    if (name === 'sni' && !sni) return 'no_sni';
    if (name === 'key' && !/^[0-9a-f]{64}$/i.test(value)) return 'bad_key';
  }
  return null;
}
