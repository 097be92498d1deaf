// Where the person is: the view, the sheet over it, and what was to be shown in it.

export const VIEWS = ['home', 'friends', 'peers', 'map', 'health', 'settings'] as const;
export type View = (typeof VIEWS)[number];

/** Parts of the sheet of a circle. */
export const CIRCLE_PARTS = ['members', 'reach', 'invites', 'about'] as const;
export type CirclePart = (typeof CIRCLE_PARTS)[number];

export type Sheet =
  | { kind: 'share' }
  | { kind: 'add_friend'; text: string }
  | { kind: 'friend'; key: string }
  | { kind: 'circle'; id: string; part?: CirclePart }
  | { kind: 'create_circle' }
  | { kind: 'join'; text: string }
  | { kind: 'invite'; circle: string; invite?: number }
  | { kind: 'paper_key'; circle: string }
  | { kind: 'add_peer' }
  | { kind: 'peer'; link: number }
  | { kind: 'choose_peers' }
  | { kind: 'add_forward' }
  | { kind: 'report' }
  | { kind: 'export_identity' }
  | { kind: 'import' };

export class Navigation {
  view = $state<View>('home');
  sheet = $state.raw<Sheet | null>(null);
  palette = $state(false);
  /** A tab inside the view, where it has tabs. */
  tab = $state<string | null>(null);
  /** What the view is to bring to attention: a key, a link, the name of a setting. */
  focus = $state<string | null>(null);

  go(view: View, options: { tab?: string; focus?: string } = {}): void {
    this.view = view;
    this.tab = options.tab ?? null;
    this.focus = options.focus ?? null;
    this.palette = false;
    this.sheet = null;
  }

  open(sheet: Sheet): void {
    this.palette = false;
    this.sheet = sheet;
  }

  /** Opens the sheet for a link that came from outside. */
  follow(link: string): void {
    const kind = /^\s*planetary:join\b/i.test(link) ? 'join' : 'add_friend';
    this.open({ kind, text: link });
  }

  close(): void {
    this.sheet = null;
  }
}

export function isView(name: string): name is View {
  return (VIEWS as readonly string[]).includes(name);
}
