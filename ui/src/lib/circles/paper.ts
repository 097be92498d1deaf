// Keys on paper: words that a person writes down, and types again.

/** In a key. */
export const WORDS = 24;

/** Whether a word was typed as it was shown; capitals and blanks around it do not matter. */
export function isWord(shown: string | undefined, typed: string | undefined): boolean {
  return shown !== undefined && typed?.trim().toLowerCase() === shown;
}

/** How many words a text has. */
export function countWords(text: string): number {
  return text.split(/\s+/).filter(Boolean).length;
}

/** Two places out of `count`, from 0 and in their order: one of either half. */
export function twoPlaces(count: number, random: () => number = Math.random): [number, number] {
  const half = Math.floor(count / 2);
  return [Math.floor(random() * half), half + Math.floor(random() * (count - half))];
}
