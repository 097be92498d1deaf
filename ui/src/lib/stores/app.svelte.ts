// Everything the page knows, one store a domain, made once for a backend.

import { getContext, setContext } from 'svelte';
import type { Backend } from '../api/backend';
import { Circles } from './circles.svelte';
import { Forwards } from './forwards.svelte';
import { Friends } from './friends.svelte';
import { isView, Navigation } from './navigation.svelte';
import { Peers } from './peers.svelte';
import { Preferences } from './preferences.svelte';
import { Questions } from './questions.svelte';
import { Service } from './service.svelte';
import { Settings } from './settings.svelte';
import { Toasts } from './toasts.svelte';
import { Topology } from './topology.svelte';
import { Visits } from './visits.svelte';

export class App {
  readonly service: Service;
  readonly friends: Friends;
  readonly circles: Circles;
  readonly questions: Questions;
  /** Started by the view that shows them. */
  readonly visits: Visits;
  readonly peers: Peers;
  /** Started by the page that shows them. */
  readonly forwards: Forwards;
  readonly preferences: Preferences;
  readonly settings: Settings;
  /** Started by the view that shows it. */
  readonly topology: Topology;
  readonly navigation = new Navigation();
  readonly toasts = new Toasts();

  constructor(readonly backend: Backend) {
    this.service = new Service(backend);
    this.friends = new Friends(backend, this.service);
    this.circles = new Circles(backend, this.service);
    this.questions = new Questions(backend, this.service);
    this.visits = new Visits(backend, this.service);
    this.peers = new Peers(backend, this.service);
    this.forwards = new Forwards(backend, this.service);
    this.preferences = new Preferences(backend);
    this.settings = new Settings(backend);
    this.topology = new Topology(backend, this.service);
  }

  /** Listens to the backend until the returned function is called. */
  start(): () => void {
    const { backend, navigation } = this;
    const stops = [
      this.service.start(),
      this.friends.start(),
      this.circles.start(),
      this.questions.start(),
      backend.on('link', ({ text }) => navigation.follow(text)),
      backend.on('show', ({ view }) => {
        if (isView(view)) navigation.go(view);
        else if (view === 'questions') this.questions.wish();
      }),
    ];
    void backend.pendingLinks().then((links) => {
      const last = links.at(-1);
      if (last !== undefined) navigation.follow(last);
    });
    return () => {
      for (const stop of stops) stop();
    };
  }

  /** Copies and says so. */
  async copy(text: string, said: string): Promise<void> {
    try {
      await this.backend.copy(text);
      this.toasts.say(said);
    } catch (error) {
      this.toasts.fail(error);
    }
  }
}

const KEY = Symbol('app');

export function provideApp(app: App): void {
  setContext(KEY, app);
}

export function useApp(): App {
  return getContext<App>(KEY);
}
