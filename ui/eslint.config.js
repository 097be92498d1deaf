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
    files: ['src/**/*.ts', 'src/**/*.svelte'],
  })),
  ...svelte.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser } },
    rules: { 'svelte/prefer-svelte-reactivity': 'off', 'svelte/no-at-html-tags': 'error' },
  },
  {
    files: ['src/**/*.ts', 'src/**/*.svelte'],
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
    files: ['**/*.test.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    files: ['scripts/**', 'e2e/**', 'measure/**', '*.config.*'],
    languageOptions: { globals: { ...globals.node } },
  },
);
