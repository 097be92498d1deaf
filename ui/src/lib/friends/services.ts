// What may be reached on this computer: read and said. The texts are the service's (`tcp/22`,
// `tcp/8000-8100`, `ip/47`, each with `@ADDRESS` where it is meant at one address only).

import { t, type Key } from '$lib/i18n/index.svelte';

export type Protocol = 'tcp' | 'udp' | 'ip';

export interface LocalService {
  protocol: Protocol;
  /** The first and last port, or twice the number of another protocol. */
  first: number;
  last: number;
  at: string | null;
}

const PORT_MAX = 65_535;
const FORM = /^(tcp|udp|ip)\/(any|[0-9]{1,5}(?:-[0-9]{1,5})?)(?:@([0-9a-f:]+))?$/;
/** Protocols with rules of their own (TCP, UDP, ICMPv6), and headers that are none. */
const NAMED = [0, 6, 17, 43, 44, 58, 60];

/** The parts of a service as the service writes it, or `null` for something else. */
export function readService(text: string): LocalService | null {
  const [, protocol, which = '', at = null] = FORM.exec(text) ?? [];
  if (protocol === 'ip') {
    const number = Number(which);
    const usable = Number.isInteger(number) && number <= 255 && !NAMED.includes(number);
    return usable ? { protocol, first: number, last: number, at } : null;
  }
  if (protocol !== 'tcp' && protocol !== 'udp') return null;
  if (which === 'any') return { protocol, first: 1, last: PORT_MAX, at };
  const [first = 0, last = first] = which.split('-').map(Number);
  if (first < 1 || first > last || last > PORT_MAX) return null;
  return { protocol, first, last, at };
}

export type PortsTrouble = 'empty' | 'ports' | 'protocol' | 'named';

/** What was typed as ports (`22`, `8000 - 8100`, `any`) or number of a protocol, as a service. */
export function typedService(
  protocol: Protocol,
  typed: string,
): string | { trouble: PortsTrouble } {
  const which = typed
    .trim()
    .toLowerCase()
    .replace(/\s*[-–]\s*/, '-');
  if (which === '') return { trouble: 'empty' };
  if (protocol === 'ip') {
    if (!/^[0-9]{1,3}$/.test(which) || Number(which) > 255) return { trouble: 'protocol' };
    if (NAMED.includes(Number(which))) return { trouble: 'named' };
    return `ip/${Number(which)}`;
  }
  const service = readService(`${protocol}/${which}`);
  return service ? writeService(service) : { trouble: 'ports' };
}

export function writeService({ protocol, first, last, at }: LocalService): string {
  const where = at === null ? '' : `@${at}`;
  if (protocol !== 'ip' && first === 1 && last === PORT_MAX) return `${protocol}/any${where}`;
  return `${protocol}/${first === last ? first : `${first}-${last}`}${where}`;
}

/** Whether everything of `other` is in `wide`. */
export function contains(wide: string, other: string): boolean {
  const [a, b] = [readService(wide), readService(other)];
  if (!a || !b) return wide === other;
  const there = a.at === null || a.at === b.at;
  return there && a.protocol === b.protocol && a.first <= b.first && b.last <= a.last;
}

/** A list with one more: what the new one contains is left out, as the service does it. */
export function withService(list: readonly string[], added: string): string[] {
  if (list.some((one) => contains(one, added))) return [...list];
  return [...list.filter((one) => !contains(added, one)), added];
}

/** What people open most, and by how many entries. */
export interface Common {
  id: string;
  label: Key;
  services: readonly string[];
}

export const COMMON: readonly Common[] = [
  { id: 'ssh', label: 'reach.ssh', services: ['tcp/22'] },
  { id: 'web', label: 'reach.web', services: ['tcp/80', 'tcp/443'] },
  { id: 'desktop', label: 'reach.desktop', services: ['tcp/3389'] },
  { id: 'screen', label: 'reach.screen', services: ['tcp/5900'] },
  { id: 'files', label: 'reach.files', services: ['tcp/445'] },
];

/** Services by which a port is known. */
const KNOWN: Record<string, Key> = {
  ...Object.fromEntries(
    COMMON.flatMap(({ label, services }) => services.map((one) => [one, label] as const)),
  ),
  'tcp/53': 'reach.names',
  'udp/53': 'reach.names',
  'udp/3389': 'reach.desktop',
  'udp/443': 'reach.web',
};

/** What is asked for, with the number that its name stands for: `port 22 (ssh)`. */
export function askedWords(text: string): string {
  const service = readService(text);
  if (!service || service.protocol === 'ip' || service.first !== service.last) return text;
  const words = t(`service.${service.protocol}`, { port: String(service.first) });
  const known = KNOWN[writeService({ ...service, at: null })];
  return known ? t('service.known', { service: words, name: t(known) }) : words;
}

/** A service in words: `ssh`, `ports 8000–8100`, `every TCP port`. */
export function serviceWords(text: string): string {
  const service = readService(text);
  if (!service) return text;
  const { protocol, first, last, at } = service;
  const known = KNOWN[writeService({ ...service, at: null })];
  const words = known ? t(known) : portWords(protocol, first, last);
  return at === null ? words : t('reach.at', { service: words, address: at });
}

function portWords(protocol: Protocol, first: number, last: number): string {
  if (protocol === 'ip') return t('reach.protocol', { number: String(first) });
  const transport = protocol.toUpperCase();
  if (first === 1 && last === PORT_MAX) return t('reach.every', { transport });
  const ports = first === last ? String(first) : `${first}–${last}`;
  const one = first === last ? 1 : 2;
  if (protocol === 'tcp') return t('reach.ports', { count: one, ports });
  return t('reach.ports.udp', { count: one, ports });
}

/** All that somebody may reach, in one line: `ssh, web, ports 8000–8100, ping`. */
export function reachWords(services: readonly string[], echo: boolean): string {
  const everything = ['tcp/any', 'udp/any'].every((one) => services.includes(one));
  const rest = everything ? services.filter((one) => !/^(tcp|udp)\/any$/.test(one)) : services;
  const words = [
    ...(everything ? [t('reach.all')] : []),
    ...rest.map(serviceWords),
    ...(echo ? [t('reach.ping')] : []),
  ];
  return words.length === 0 ? t('reach.nothing') : [...new Set(words)].join(', ');
}
