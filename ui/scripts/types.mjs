// Writes the TypeScript types of the control API and of the shell from their JSON schemas:
// the block in docs/ipc.md, which the tests of planetary-ipc hold true, and src-tauri/schema.json,
// which those of the shell do. `--check` only compares.
//
// It knows the words that occur in those schemas and refuses any other.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const nameOf = (ref) => ref.slice('#/$defs/'.length);
/** What no type can say: bounds, patterns, defaults. */
const SILENT = ['format', 'pattern', 'default', 'minimum', 'maximum', 'minItems', 'maxItems'];
const KNOWN = [
  '$ref', 'type', 'const', 'enum', 'oneOf', 'anyOf', 'items', 'properties', 'required', 'description',
  'additionalProperties', ...SILENT,
]; // prettier-ignore

/** A type for `schema`; what it says by several words holds all at once. */
function typeOf(schema, indent) {
  if (schema === true) return 'unknown';
  const strange = Object.keys(schema).find((word) => !KNOWN.includes(word));
  if (strange) throw new Error(`a schema says ${strange}, which types.mjs does not know`);
  const all = [];
  if (schema.$ref) all.push(nameOf(schema.$ref));
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives) all.push(union(alternatives.map((one) => typeOf(one, indent))));
  if ('const' in schema) all.push(JSON.stringify(schema.const));
  else if (schema.enum) all.push(union(schema.enum.map((value) => JSON.stringify(value))));
  else if (schema.properties) all.push(objectOf(schema, indent));
  else if (schema.type && !schema.$ref) {
    const types = [schema.type].flat();
    all.push(union(types.map((type) => plain(type, schema, indent))));
  }
  if (all.length === 0) return 'unknown';
  return all.length === 1 ? all[0] : all.map(grouped).join(' & ');
}

const union = (types) => [...new Set(types)].join(' | ');
const grouped = (type) => (type.includes(' | ') && !type.startsWith('{') ? `(${type})` : type);

function plain(type, schema, indent) {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'integer':
    case 'number':
      return 'number';
    case 'array':
      return `${grouped(typeOf(schema.items ?? true, indent))}[]`;
    case 'object': {
      const values = schema.additionalProperties;
      return values ? `Record<string, ${typeOf(values, indent)}>` : 'Record<string, unknown>';
    }
    default:
      throw new Error(`a schema has the type ${type}`);
  }
}

function objectOf(schema, indent) {
  const deeper = `${indent}  `;
  const required = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties).map(([name, member]) => {
    const may = required.has(name) ? '' : '?';
    return `${comment(member, deeper)}${deeper}${name}${may}: ${typeOf(member, deeper)};\n`;
  });
  return `{\n${members.join('')}${indent}}`;
}

const comment = (schema, indent) =>
  schema.description ? `${indent}/** ${schema.description.replaceAll('*/', '* /')} */\n` : '';

function declaration([name, schema]) {
  return `${comment(schema, '')}export type ${name} = ${typeOf(schema, '')};\n`;
}

function definitionsOfTheProtocol() {
  const text = readFileSync(at('../node-core/docs/ipc.md'), 'utf8');
  const block = /<!-- schema: begin -->\n```json\n([\s\S]*?)```\n<!-- schema: end -->/.exec(text);
  if (!block) throw new Error('docs/ipc.md holds no schema');
  return JSON.parse(block[1]).$defs;
}

const protocol = definitionsOfTheProtocol();
const jobs = [{ target: 'protocol', definitions: protocol, source: 'node-core/docs/ipc.md' }];
if (existsSync(at('../src-tauri/schema.json'))) {
  const { $defs } = JSON.parse(readFileSync(at('../src-tauri/schema.json'), 'utf8'));
  // What the shell passes on from the protocol is the protocol's.
  const own = Object.fromEntries(Object.entries($defs).filter(([name]) => !(name in protocol)));
  const used = JSON.stringify(own);
  const theirs = Object.keys(protocol).filter((name) => used.includes(`"#/$defs/${name}"`));
  const imports = theirs.length
    ? `import type {\n${theirs.map((name) => `  ${name},\n`).join('')}} from './protocol';\n\n`
    : '';
  jobs.push({ target: 'shell', definitions: own, source: 'src-tauri/schema.json', imports });
}

let stale = false;
for (const { target, definitions, source, imports = '' } of jobs) {
  const file = `src/lib/api/${target}.ts`;
  const banner = `// Written by scripts/types.mjs from ${source}; run \`npm run types\`.\n\n`;
  const text = banner + imports + Object.entries(definitions).map(declaration).join('\n');
  if (existsSync(at(file)) && readFileSync(at(file), 'utf8') === text) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file} is not what ${source} says: run \`npm run types\``);
    stale = true;
  } else {
    writeFileSync(at(file), text);
    console.log(`wrote ${file}`);
  }
}
process.exit(stale ? 1 : 0);
