// Opens the view and the sheet that the address bar names: `?view=peers&sheet=choose_peers`.

import type { App } from '../../stores/app.svelte';
import { isView, type Sheet } from '../../stores/navigation.svelte';
import { FRIENDS, PEERS } from './data';

export function rehearse(app: App, query: string): void {
  const wishes = new URLSearchParams(query);
  const view = wishes.get('view') ?? '';
  const tab = wishes.get('tab');
  if (isView(view)) app.navigation.go(view, tab === null ? {} : { tab });
  const sheet = sheetOf(wishes.get('sheet'));
  if (sheet) app.navigation.open(sheet);
  if (wishes.get('sheet') === 'palette') app.navigation.palette = true;
}

function sheetOf(kind: string | null): Sheet | null {
  switch (kind) {
    case 'share':
    case 'add_peer':
    case 'choose_peers':
    case 'report':
    case 'export_identity':
    case 'import':
      return { kind };
    case 'add_friend': {
      const key = 'c0ffee'.padEnd(64, '5');
      return { kind, text: `planetary:friend?k=${key}&n=Nadia&p=tls%3A%2F%2Fpeers.example%3A443` };
    }
    case 'friend':
      return { kind, key: FRIENDS[0]?.key ?? '' };
    case 'peer':
      return { kind, link: PEERS[2]?.link ?? 0 };
    default:
      return null;
  }
}
