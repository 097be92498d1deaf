// Serves the mock build on loopback, under the policy of the real app, and opens Debian's Chromium.

import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const ui = fileURLToPath(new URL('..', import.meta.url));
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The content security policy of the app, as src-tauri states it. */
export function policy() {
  const file = join(ui, '../src-tauri/tauri.conf.json');
  if (!existsSync(file)) return "default-src 'self'";
  const { csp } = JSON.parse(readFileSync(file, 'utf8')).app.security;
  if (typeof csp === 'string') return csp;
  const words = Object.entries(csp).map(([name, value]) => `${name} ${[value].flat().join(' ')}`);
  return words.join('; ');
}

export async function serve() {
  const root = join(ui, process.env.DIST ?? 'dist-mock');
  if (!existsSync(join(root, 'index.html'))) throw new Error('no mock build: npm run build:mock');
  const csp = policy();
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://localhost').pathname);
    const file = join(root, path === '/' ? 'index.html' : path);
    try {
      const body = await readFile(file);
      response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
      response.setHeader('content-security-policy', csp);
      response.end(body);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
}

export function browser() {
  const executablePath = process.env.CHROMIUM ?? BROWSERS.find(existsSync);
  if (!executablePath) throw new Error('Chromium is missing: cargo xtask setup installs it');
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
