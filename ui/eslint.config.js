import globals from 'globals';
import svelte from 'eslint-plugin-svelte';
import typescript from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

// Who may import whom: shared < domain < views. `invoke` appears behind one door only.
const tiers = (patterns) => ({
  'no-restricted-imports': ['error', { patterns }],
});
const noTauri = {
  group: ['@tauri-apps/*'],
  message: 'Talk to the shell through the Backend ($lib/api).',
};
const noViews = { group: ['$views/*', '**/views/*'], message: 'Views compose; nothing uses them.' };
const noDomain = {
  regex: '^\\$lib/(connection|peers|friends|share|map|health|settings|welcome|palette|stores|api)',
  message: 'Shared components know no domain.',
};

export default typescript.config(
  {
    ignores: [
      'dist',
      'dist-mock',
      'node_modules',
      'pictures',
      'src/lib/api/protocol.ts',
      'src/lib/api/shell.ts',
    ],
  },
  ...typescript.configs.strictTypeChecked.map((config) => ({
    ...config,
    files: ['src/**/*.ts', 'src/**/*.svelte', 'vite.config.ts'],
  })),
  ...svelte.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: { 'svelte/prefer-svelte-reactivity': 'off', 'svelte/no-at-html-tags': 'error' },
  },
  // A component reads what it is given through `let` when one of them can be bound.
  { files: ['**/*.svelte'], rules: { 'prefer-const': ['error', { destructuring: 'all' }] } },
  {
    files: ['src/**/*.ts', 'src/**/*.svelte', 'vite.config.ts'],
    languageOptions: {
      parserOptions: {
        projectService: true,
        extraFileExtensions: ['.svelte'],
        parser: typescript.parser,
        svelteConfig,
      },
    },
    rules: {
      ...tiers([noTauri, noViews]),
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'no-restricted-globals': ['error', 'eval'],
    },
  },
  { files: ['src/lib/shared/**'], rules: tiers([noTauri, noViews, noDomain]) },
  { files: ['src/*.ts', 'src/*.svelte', 'src/views/**'], rules: tiers([noTauri]) },
  { files: ['src/lib/api/tauri.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['src/**/*.svelte'],
    // The linter cannot see the types behind a component's own props.
    rules: { '@typescript-eslint/no-unsafe-argument': 'off' },
  },
  {
    files: ['**/*.test.ts', 'src/test-setup.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['scripts/**', 'e2e/**', 'measure/**', '*.config.*'],
    languageOptions: { globals: { ...globals.node } },
  },
);
