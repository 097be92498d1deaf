// A report as a text that a person can read before sending it. It is always in English: whoever is
// asked for help may not speak the language of the app.

import type {
  ReportedError,
  ReportedItem,
  ReportedLink,
  ReportedListener,
  SupportReport,
} from '../api/protocol';

export interface AppFacts {
  /** Version of the app. */
  version: string;
  system: string;
}

/** The whole text; every line is short enough to be quoted in a letter. */
export function reportText(report: SupportReport, app: AppFacts): string {
  const { node } = report;
  const parts = [
    section('Planetary Network report', [
      row('made', utc(report.time)),
      row('service', `${report.version}, ${report.os} ${report.arch}`),
      row('app', `${app.version}, ${app.system}`),
    ]),
    section('Node', [
      row('name', node.name),
      row('state', `${node.state} for ${span(node.state_for_s)}`),
      row('service up', span(node.uptime_s)),
      row(
        'last answer',
        node.proven_ago_s === null ? 'none yet' : `${span(node.proven_ago_s)} ago`,
      ),
      row('place', node.depth === null ? 'unknown' : `${count(node.depth, 'hop')} from the root`),
      row('parent', node.parent ?? 'unknown'),
      row('root', node.root ?? 'unknown'),
    ]),
    section('Health', report.health.map(healthRow)),
    section('Links', report.links.flatMap(linkRows)),
    section('Listeners', report.listeners.map(listenerRow)),
    section('Interface', [
      report.interface
        ? row(report.interface.name, `MTU ${report.interface.mtu}`)
        : '  none (user space, or the node is off)',
    ]),
    section('Clock', [
      row(
        'ahead of others',
        report.clock.ahead_s === null ? 'unknown' : `${report.clock.ahead_s} s`,
      ),
      row('nodes heard', String(report.clock.witnesses)),
      row('set lately', report.clock.jump_s === null ? 'no' : `by ${report.clock.jump_s} s`),
    ]),
    section(
      'Settings',
      report.settings.map(({ name, value }) => row(name, value)),
    ),
    section(
      'Counters',
      report.counters.map(({ name, value }) => row(name, String(value))),
    ),
    section('Names in this report', pseudonyms(report)),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** What the file is called when it is saved. */
export function reportName(report: SupportReport): string {
  const day = new Date(report.time * 1000).toISOString().slice(0, 10);
  return `planetary-report-${day}.txt`;
}

function pseudonyms(report: SupportReport): string[] {
  const stay = report.pseudonyms_last
    ? '  They are the same in every report of this computer,'
    : '  They belong to this report alone (their secret could not be kept),';
  return [
    '  node-…, host-… and interface-… stand for real ones.',
    stay,
    '  and nobody can find out the real ones from them.',
  ];
}

function section(title: string, rows: string[]): string {
  return [title, ...(rows.length > 0 ? rows : ['  none'])].join('\n');
}

const NAME_WIDTH = 18;

function row(name: string, value: string): string {
  return `  ${name.padEnd(NAME_WIDTH)} ${value}`;
}

function healthRow({ severity, code, for_s, affects_connectivity }: ReportedItem): string {
  const since = for_s === null ? '' : ` for ${span(for_s)}`;
  const traffic = affects_connectivity ? ', traffic suffers' : '';
  return row(severity, `${code}${since}${traffic}`);
}

function linkRows(link: ReportedLink): string[] {
  const where = [link.transport, link.direction, link.source, link.host_kind];
  if (link.is_port_443) where.push('port 443');
  if (link.interface !== null) where.push(`over ${link.interface}`);
  return [
    row(link.host ?? link.node ?? 'unnamed', where.join(', ')),
    ...(link.node !== null && link.host !== null ? [row('', link.node)] : []),
    row('', linkState(link)),
    ...(link.last_error ? [row('', errorWords(link.last_error))] : []),
  ];
}

function linkState(link: ReportedLink): string {
  const state = link.up ? (link.suspect ? 'silent' : 'up') : 'down';
  const words = [link.uptime_s === null ? state : `${state} for ${span(link.uptime_s)}`];
  if (link.reconnect_in_s !== null) words.push(`next try in ${span(link.reconnect_in_s)}`);
  if (link.latency_ms !== null) words.push(`${link.latency_ms.toFixed(1)} ms`);
  if (link.cost !== null) words.push(`cost ${link.cost}`);
  if (link.priority !== 0) words.push(`priority ${link.priority}`);
  words.push(`${link.rx_bytes} B in, ${link.tx_bytes} B out`);
  return words.join(', ');
}

function listenerRow({ transport, up, last_error }: ReportedListener): string {
  return row(
    transport,
    `${up ? 'open' : 'closed'}${last_error ? `, ${errorWords(last_error)}` : ''}`,
  );
}

function errorWords({ code, ago_s }: ReportedError): string {
  return `${code} ${span(ago_s)} ago`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function utc(unix_s: number): string {
  return `${new Date(unix_s * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** A span of time in its two largest units. */
function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s >= 86_400) return `${Math.floor(s / 86_400)} d ${Math.floor(s / 3600) % 24} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return s >= 60 ? `${Math.floor(s / 60)} min` : `${s} s`;
}
