// How well an entry fits what was typed. Every word has to be found; the beginning of a label is
// worth more than the beginning of a word in it, that more than the middle, and letters that only
// follow each other come last.

export interface Ranked {
  /** What is shown. */
  label: string;
  /** Further words by which it is found. */
  words: string;
}

const WHOLE = 100;
const LABEL_START = 80;
const WORD_START = 60;
const INSIDE = 40;
const EXTRA_START = 30;
const EXTRA_INSIDE = 15;
const SCATTERED = 8;
/** Letters of one query word that may be scattered; fewer would fit almost everything. */
const SCATTERED_MIN = 3;

/** What fits `query`, the best first; equals keep their order. All of it while nothing is typed. */
export function rank<T extends Ranked>(query: string, entries: readonly T[]): T[] {
  const wishes = plain(query).split(' ').filter(Boolean);
  if (wishes.length === 0) return [...entries];
  const fitting = entries.flatMap((entry) => {
    const score = scoreOf(wishes, entry);
    return score > 0 ? [{ entry, score }] : [];
  });
  return fitting.sort((a, b) => b.score - a.score).map(({ entry }) => entry);
}

/** Lower case, without accents, and with one space between words. */
export function plain(text: string): string {
  const bare = text.normalize('NFD').replace(/\p{Mn}/gu, '');
  return bare.toLocaleLowerCase().replace(/\s+/g, ' ').trim();
}

function scoreOf(wishes: readonly string[], entry: Ranked): number {
  const label = plain(entry.label);
  const words = plain(entry.words);
  let total = 0;
  for (const wish of wishes) {
    const score = Math.max(scoreIn(label, wish), scoreBeside(words, wish));
    if (score === 0) return 0;
    total += score;
  }
  // Typed as it is written, it is meant.
  if (label === wishes.join(' ')) total += WHOLE;
  // Of two labels that fit alike, the shorter says less that was not asked for.
  return total / wishes.length - Math.min(label.length, 100) / 100;
}

function scoreIn(label: string, wish: string): number {
  const at = label.indexOf(wish);
  if (at === 0) return LABEL_START;
  if (at > 0) return startsWord(label, wish) ? WORD_START : INSIDE;
  return wish.length >= SCATTERED_MIN && follows(label, wish) ? SCATTERED : 0;
}

function scoreBeside(words: string, wish: string): number {
  if (!words.includes(wish)) return 0;
  return startsWord(words, wish) ? EXTRA_START : EXTRA_INSIDE;
}

function startsWord(text: string, wish: string): boolean {
  for (let at = text.indexOf(wish); at >= 0; at = text.indexOf(wish, at + 1)) {
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text.charAt(at - 1))) return true;
  }
  return false;
}

/** Whether the letters of `wish` come in `text` in their order. */
function follows(text: string, wish: string): boolean {
  let at = 0;
  for (const letter of wish) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
