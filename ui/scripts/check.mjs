// Everything that can be said of the pages without running them: side by side, for each of them
// keeps one processor busy at most. What they say is printed one after the other.
import { spawn } from 'node:child_process';

const checks = [
  ['node', 'scripts/types.mjs', '--check'],
  ['node', 'scripts/catalogue.mjs'],
  ['svelte-check', '--fail-on-warnings'],
  ['eslint', '.'],
  ['prettier', '--check', '.'],
];

function run([program, ...args]) {
  return new Promise((resolve) => {
    // npm puts the tools on the search path; on Windows they are scripts of the shell.
    const child = spawn(program, args, { shell: process.platform === 'win32' });
    let said = '';
    const keep = (chunk) => (said += chunk);
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => resolve({ said: `${program}: ${error.message}\n`, ok: false }));
    child.on('close', (code) => resolve({ said, ok: code === 0 }));
  });
}

const outcomes = await Promise.all(checks.map(run));
for (const { said } of outcomes) process.stdout.write(said);
process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1;
