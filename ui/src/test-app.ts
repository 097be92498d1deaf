import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import App from './App.svelte';
import { MockBackend } from './lib/api/mock/backend';
import { readScenario } from './lib/api/mock/scenario';
import { App as Stores } from './lib/stores/app.svelte';
import type { View } from './lib/stores/navigation.svelte';

/** The app at one of its views, with a node that is as `query` of a scenario says. */
export async function open(view: View, query = '') {
  const backend = new MockBackend(readScenario(`?frozen&${query}`));
  const app = new Stores(backend);
  await app.preferences.load();
  app.navigation.go(view);
  render(App, { props: { app } });
  await screen.findByTestId(`view-${view}`);
  await new Promise((resolve) => setTimeout(resolve));
  return { app, backend, user: userEvent.setup() };
}
