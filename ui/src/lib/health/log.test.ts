import { describe, expect, it } from 'vitest';
import type { LogLine, LogPage } from '../api/protocol';
import { asText, extend, filter, LEVELS, LINES_MAX, shortTarget, type Entry } from './log';

const line = (number: number, more: Partial<LogLine> = {}): LogLine => ({
  number,
  at: 1_795_000_000 + number,
  level: 'info',
  target: 'planetary_runtime::links',
  text: `line ${number}`,
  ...more,
});
const page = (numbers: number[], more: Partial<LogPage> = {}): LogPage => ({
  lines: numbers.map((number) => line(number)),
  last: numbers.at(-1) ?? 0,
  lost: 0,
  ...more,
});
const numbers = (entries: readonly Entry[]) => entries.map((entry) => entry.number);

describe('extend', () => {
  it('appends what is new', () => {
    const first = extend([], page([1, 2]), 0);
    expect(numbers(extend(first, page([3]), 2))).toEqual([1, 2, 3]);
  });

  it('stays the same list when nothing is new', () => {
    const first = extend([], page([1, 2]), 0);
    expect(extend(first, page([], { last: 2 }), 2)).toBe(first);
  });

  it('says where lines are missing, and how many', () => {
    const first = extend([], page([1, 2]), 0);
    const next = extend(first, page([15], { lost: 12 }), 2);
    expect(next[2]).toMatchObject({ kind: 'gap', lost: 12 });
    expect(numbers(next)).toEqual([1, 2, 2.5, 15]);
  });

  it('forgets the log of a service that was started anew', () => {
    const first = extend([], page([1, 2, 300]), 0);
    expect(extend(first, page([], { last: 4 }), 300)).toEqual([]);
  });

  it('keeps a limited number, the latest', () => {
    const many = Array.from({ length: LINES_MAX }, (_, at) => at + 1);
    const next = extend(extend([], page(many), 0), page([LINES_MAX + 1]), LINES_MAX);
    expect(next).toHaveLength(LINES_MAX);
    expect(next.at(-1)?.number).toBe(LINES_MAX + 1);
  });
});

describe('filter', () => {
  const lines = [
    line(1, { level: 'error', text: 'Link lost error=dial_timeout' }),
    line(2, { level: 'warn', target: 'planetaryd::public' }),
    line(3),
  ];
  const entries = extend([], { lines, last: 3, lost: 5 }, 0);

  it('shows the levels that are wanted, and where lines are missing', () => {
    expect(filter(entries, new Set(LEVELS), '')).toHaveLength(4);
    expect(numbers(filter(entries, new Set(['error']), ''))).toEqual([0.5, 1]);
  });

  it('wants all words, in the text or the target, whatever their case', () => {
    expect(numbers(filter(entries, new Set(LEVELS), 'LOST link'))).toEqual([1]);
    expect(numbers(filter(entries, new Set(LEVELS), 'public'))).toEqual([2]);
    expect(filter(entries, new Set(LEVELS), 'link nowhere')).toEqual([]);
  });
});

describe('as text', () => {
  it('is a line each, with level and target in full, without the gaps', () => {
    const entries = extend([], { lines: [line(7, { level: 'warn' })], last: 7, lost: 6 }, 0);
    const text = asText(entries);
    expect(text).toMatch(/2026.* WARN planetary_runtime::links: line 7$/);
    expect(text.split('\n')).toHaveLength(1);
  });

  it('shortens a target to what a person reads', () => {
    expect(shortTarget('planetary_runtime::links')).toBe('links');
    expect(shortTarget('planetaryd')).toBe('planetaryd');
  });
});
