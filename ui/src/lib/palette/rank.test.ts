import { describe, expect, it } from 'vitest';
import { plain, rank } from './rank';

const entry = (label: string, words = '') => ({ label, words });
const labels = (query: string, ...entries: ReturnType<typeof entry>[]) =>
  rank(query, entries).map(({ label }) => label);

describe('rank', () => {
  it('shows everything in its order while nothing is typed', () => {
    expect(labels('  ', entry('Share'), entry('Add'))).toEqual(['Share', 'Add']);
  });

  it('puts the beginning of a label before that of a word, and that before the middle', () => {
    const entries = [entry('Reappear'), entry('Add a peer'), entry('Peers'), entry('Home')];
    expect(labels('pe', ...entries)).toEqual(['Peers', 'Add a peer', 'Reappear']);
  });

  it('finds by further words, after what is found by its label', () => {
    const entries = [entry('Appearance', 'dark night'), entry('Dark appearance'), entry('Home')];
    expect(labels('dark', ...entries)).toEqual(['Dark appearance', 'Appearance']);
  });

  it('wants every word, in any order', () => {
    const entries = [entry('Add a friend'), entry('Add a peer'), entry('Friends')];
    expect(labels('friend add', ...entries)).toEqual(['Add a friend']);
  });

  it('does not care about case and accents', () => {
    expect(labels('JORG', entry('Jörg'), entry('Ada'))).toEqual(['Jörg']);
    expect(labels('михаил', entry('Михаил'))).toEqual(['Михаил']);
    expect(plain('  Ärger \n mit  É ')).toBe('arger mit e');
  });

  it('finds letters that follow each other, last, and only from three on', () => {
    const entries = [entry('Settings'), entry('Make a report'), entry('A strange name')];
    expect(labels('stn', ...entries)).toEqual(['Settings', 'A strange name']);
    expect(labels('sx', ...entries)).toEqual([]);
    expect(labels('mt', ...entries)).toEqual([]);
  });

  it('puts what is called exactly so first, and the shorter before the longer', () => {
    const entries = [entry('Peers and listening'), entry('Peers over there'), entry('Peers')];
    expect(labels('peers', ...entries)).toEqual([
      'Peers',
      'Peers over there',
      'Peers and listening',
    ]);
  });

  it('takes signs of patterns for what they are', () => {
    expect(labels('[2001:db8', entry('[2001:db8:71::4]'), entry('Ada'))).toHaveLength(1);
    expect(labels('.*', entry('Ada'))).toEqual([]);
  });
});
