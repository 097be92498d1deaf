import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Mode `mock` builds the app with a service that lives in the page: for tests, for pictures, and to
// work on the interface in a browser.
export default defineConfig(({ mode }) => ({
  plugins: [svelte(), svelteTesting()],
  resolve: { alias: { $lib: here('src/lib'), $views: here('src/views') } },
  define: { __MOCK__: JSON.stringify(mode === 'mock' || mode === 'test') },
  build: {
    target: ['es2022', 'safari16'],
    chunkSizeWarningLimit: 900,
  },
  worker: { format: 'es' as const },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/test-setup.ts'],
    restoreMocks: true,
  },
}));
