// Holds the catalogue together: every language has every key of English with the same arguments
// and is well-formed ICU; `t('…')` with a literal key is checked by the compiler; this finds keys
// that nothing uses.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IntlMessageFormat } from 'intl-messageformat';

const root = fileURLToPath(new URL('../src', import.meta.url));
const folder = join(root, 'lib/i18n');
const languages = readdirSync(folder).filter((name) => /^[a-z]{2}$/.test(name));
const problems = [];

function read(language) {
  const all = new Map();
  for (const file of readdirSync(join(folder, language))) {
    const words = JSON.parse(readFileSync(join(folder, language, file), 'utf8'));
    for (const [key, text] of Object.entries(words)) {
      if (all.has(key)) problems.push(`${language}/${file}: ${key} is there twice`);
      if (text.trim() === '') problems.push(`${language}/${file}: ${key} is empty`);
      all.set(key, text);
    }
  }
  return all;
}

/** The names of all arguments, and of those that choose a plural. */
function argumentsOf(text, language) {
  const names = new Set();
  const visit = (parts) => {
    for (const part of parts) {
      if (part.type !== 0 && part.type !== 7) names.add(part.value);
      for (const option of Object.values(part.options ?? {})) visit(option.value);
    }
  };
  visit(new IntlMessageFormat(text, language, undefined, { ignoreTag: true }).getAst());
  return [...names].sort().join(' ');
}

const english = read('en');
for (const language of languages) {
  const words = language === 'en' ? english : read(language);
  const missing = [...english.keys()].filter((key) => !words.has(key));
  if (missing.length > 0) {
    const first = missing.slice(0, 5).join(', ');
    problems.push(`${language}: ${missing.length} texts are missing: ${first}, …`);
  }
  for (const [key, source] of english) {
    const text = words.get(key);
    if (text === undefined) continue;
    try {
      const [ours, theirs] = [argumentsOf(text, language), argumentsOf(source, 'en')];
      if (ours !== theirs) problems.push(`${language}: ${key} has {${ours}}, not {${theirs}}`);
    } catch (error) {
      problems.push(`${language}: ${key}: ${error.message}`);
    }
  }
  for (const key of words.keys()) {
    if (!english.has(key)) problems.push(`${language}: ${key} is not in English`);
  }
}

function sources(path) {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const full = join(path, entry.name);
    if (entry.isDirectory()) return sources(full);
    return /\.(svelte|ts)$/.test(entry.name) ? [readFileSync(full, 'utf8')] : [];
  });
}

// Keys made of a code or a state name start with what stands before the `${`.
const code = sources(root).join('\n');
const made = [...code.matchAll(/`([a-z_.]+?)\$\{/g)].map(([, lead]) => lead);
made.push(...[...code.matchAll(/tCode\(\s*['`]([a-z_.]+)['`]/g)].map(([, lead]) => `${lead}.`));
// The shell has these to itself.
made.push('tray.', 'notify.', 'dialog.');
for (const key of english.keys()) {
  const used = code.includes(`'${key}'`) || made.some((lead) => key.startsWith(lead));
  if (!used) problems.push(`en: nothing uses ${key}`);
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`catalogue: ${english.size} texts in ${languages.length} languages`);
