// The lines of the log that are shown, and how they read when they are copied.

import type { LogLevel, LogLine, LogPage } from '../api/protocol';
import { dateTime } from '../format';

export const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info'];
/** As many as the service keeps, and some that it has given up since. */
export const LINES_MAX = 3000;

/** A line, or a place where lines are missing. */
export type Entry = (LogLine & { kind: 'line' }) | { kind: 'gap'; number: number; lost: number };

/** What is known after `page`, which was asked for with `after`. */
export function extend(entries: readonly Entry[], page: LogPage, after: number): readonly Entry[] {
  // The service was started anew and counts from one again.
  const before = page.last < after ? [] : entries;
  if (before.length > 0 && page.lost === 0 && page.lines.length === 0) return before;
  const gap: Entry[] = page.lost > 0 ? [{ kind: 'gap', number: after + 0.5, lost: page.lost }] : [];
  const lines = page.lines.map((line): Entry => ({ ...line, kind: 'line' }));
  return [...before, ...gap, ...lines].slice(-LINES_MAX);
}

/** The entries of these levels that have all words of `text` in them, whatever their case. */
export function filter(
  entries: readonly Entry[],
  levels: ReadonlySet<LogLevel>,
  text: string,
): Entry[] {
  const words = text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return entries.filter((entry) => {
    if (entry.kind === 'gap') return words.length === 0;
    if (!levels.has(entry.level)) return false;
    const all = `${entry.text} ${entry.target}`.toLocaleLowerCase();
    return words.every((word) => all.includes(word));
  });
}

/** The lines as text, one a line, with the day that each was written. */
export function asText(entries: readonly Entry[]): string {
  const lines = entries.flatMap((entry) =>
    entry.kind === 'gap' ? [] : [`${dateTime(entry.at)} ${written(entry)}`],
  );
  return lines.join('\n');
}

function written({ level, target, text }: LogLine): string {
  return `${level.toUpperCase()} ${target}: ${text}`;
}

/** The last part of a target, which is what a person reads: `links` of `planetary_runtime::links`. */
export function shortTarget(target: string): string {
  return target.split('::').at(-1) ?? target;
}
