// One formatter each for numbers, units, times, addresses and keys. All follow the language of the
// app, never the locale of the process, which may be none (`C`).

import { currentLanguage, t } from '../i18n/index.svelte';

const formats = new Map<string, Intl.NumberFormat>();

export function number(value: number, options: Intl.NumberFormatOptions = {}): string {
  const name = currentLanguage() + JSON.stringify(options);
  let format = formats.get(name);
  if (!format) {
    format = new Intl.NumberFormat(currentLanguage(), options);
    formats.set(name, format);
  }
  return format.format(value);
}

/** About three digits: 8.4, 24, 310. */
function sensible(value: number): string {
  return number(value, { maximumFractionDigits: value < 10 ? 1 : 0 });
}

const SIZES = ['b', 'kb', 'mb', 'gb', 'tb', 'pb'] as const;

/** A size in bytes: `1.2 GB`. */
export function bytes(value: number): string {
  let step = 0;
  let rest = value;
  while (rest >= 999.5 && step < SIZES.length - 1) {
    rest /= 1000;
    step += 1;
  }
  const shown = step === 0 ? number(rest) : sensible(rest);
  return t(`unit.${SIZES[step] ?? 'pb'}`, { value: shown });
}

/** Bytes a second: `12 MB/s`; a dash while unknown. */
export function rate(value: number | null): string {
  return value === null ? '–' : t('unit.per_second', { size: bytes(value) });
}

/** Milliseconds: `24 ms`; a dash while unknown. */
export function latency(ms: number | null): string {
  if (ms === null) return '–';
  if (ms >= 10_000) return t('unit.s', { value: sensible(ms / 1000) });
  return t('unit.ms', { value: ms < 0.95 ? '<\u00a01' : sensible(ms) });
}

/** How long something lasts, in its two largest units: `3 d 4 h`, `12 min`, `8 s`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const parts = [
    [Math.floor(s / 86_400), 'unit.d'],
    [Math.floor(s / 3600) % 24, 'unit.h'],
    [Math.floor(s / 60) % 60, 'unit.min'],
    [s % 60, 'unit.s'],
  ] as const;
  const found = parts.findIndex(([count]) => count > 0);
  const first = found < 0 ? parts.length - 1 : found;
  const shown = parts.slice(first, first < 2 ? first + 2 : first + 1);
  return shown
    .filter(([count], at) => count > 0 || at === 0)
    .map(([count, unit]) => t(unit, { value: number(count) }))
    .join(' ');
}

/** How long ago something was: `just now`, `4 min ago`. */
export function ago(seconds: number): string {
  if (seconds < 5) return t('time.now');
  const format = new Intl.RelativeTimeFormat(currentLanguage(), {
    numeric: 'always',
    style: 'short',
  });
  if (seconds < 60) return format.format(-Math.round(seconds), 'second');
  if (seconds < 3600) return format.format(-Math.round(seconds / 60), 'minute');
  if (seconds < 86_400) return format.format(-Math.round(seconds / 3600), 'hour');
  return format.format(-Math.round(seconds / 86_400), 'day');
}

/** A day and a time of day. `unix_s` in seconds. */
export function dateTime(unix_s: number): string {
  const format = new Intl.DateTimeFormat(currentLanguage(), {
    dateStyle: 'medium',
    timeStyle: 'short',
  });
  return format.format(unix_s * 1000);
}

export function date(unix_s: number): string {
  return new Intl.DateTimeFormat(currentLanguage(), { dateStyle: 'medium' }).format(unix_s * 1000);
}

/** A time of day to the minute. */
export function clock(unix_s: number): string {
  return new Intl.DateTimeFormat(currentLanguage(), { timeStyle: 'short' }).format(unix_s * 1000);
}

/** A time of day with seconds. */
export function time(unix_s: number): string {
  return new Intl.DateTimeFormat(currentLanguage(), { timeStyle: 'medium' }).format(unix_s * 1000);
}

export function percent(share: number): string {
  return number(share, { style: 'percent', maximumFractionDigits: 0 });
}

/** A key in groups of eight digits, to be read and compared. */
export function groupedKey(key: string): string {
  return key.match(/.{1,8}/g)?.join(' ') ?? key;
}

/** The first digits of a key, where the whole is a hover or a click away. */
export function shortKey(key: string): string {
  return `${key.slice(0, 8)}…`;
}

export interface PeerUri {
  transport: string;
  /** The node's host, or the path of a socket file. */
  host: string;
  port: string;
  /** The proxy before it, host and port. */
  via: string | null;
}

/** The parts of a peer's URI; what cannot be read is all host. */
export function peerUri(uri: string): PeerUri {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(uri);
  if (!match) return { transport: '', host: uri, port: '', via: null };
  const [, transport = '', rest = ''] = match;
  const [first = '', second = ''] = rest.split(/[/?#]/);
  const proxied = transport.startsWith('socks') && second !== '';
  const authority = (proxied ? second : first).replace(/^.*@/, '');
  const via = proxied ? first.replace(/^.*@/, '') : null;
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority);
  if (!parts?.[1] || transport === 'unix') return { transport, host: rest, port: '', via };
  return { transport, host: parts[1], port: parts[2] ?? '', via };
}

/** The name of a country or region as the public list writes it (`united-states`). */
export function placeName(slug: string): string {
  const words = slug.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return words.join(' ');
}
