// Opens the view and the sheet that the address bar names: `?view=peers&sheet=choose_peers`, and
// brings a setting into sight: `?view=settings&focus=lan`.

import type { App } from '../../stores/app.svelte';
import { CIRCLE_PARTS, isView, type Sheet } from '../../stores/navigation.svelte';
import { circlesOf, joinLink } from './circle-data';
import { FRIENDS, PEERS, START } from './data';
import { readScenario } from './scenario';

export function rehearse(app: App, query: string): void {
  const wishes = new URLSearchParams(query);
  const view = wishes.get('view') ?? '';
  const tab = wishes.get('tab');
  const focus = wishes.get('focus');
  const place = { ...(tab === null ? {} : { tab }), ...(focus === null ? {} : { focus }) };
  if (isView(view)) app.navigation.go(view, place);
  const sheet = sheetOf(wishes.get('sheet')) ?? circleSheetOf(query);
  if (sheet) app.navigation.open(sheet);
  if (wishes.get('sheet') === 'palette') app.navigation.palette = true;
}

const PEER = 'tls://peers.example:443';

/** Sheets of circles: `?sheet=circle&of=Family&part=reach`. */
function circleSheetOf(query: string): Sheet | null {
  const wishes = new URLSearchParams(query);
  const of = wishes.get('of') ?? 'Family';
  const kept = circlesOf(readScenario(query)).find(({ circle }) => circle.name === of);
  const circle = kept?.circle.id ?? '';
  const part = CIRCLE_PARTS.find((one) => one === wishes.get('part'));
  switch (wishes.get('sheet')) {
    case 'circle':
      return { kind: 'circle', id: circle, ...(part ? { part } : {}) };
    case 'create_circle':
      return { kind: 'create_circle' };
    case 'join': {
      const [id, inviter] = ['5c'.repeat(32), FRIENDS[0]?.key ?? ''];
      return { kind: 'join', text: joinLink(id, inviter, 'Book club', START + 86_400, [PEER]) };
    }
    case 'invite':
      return { kind: 'invite', circle };
    case 'invite_link':
      return { kind: 'invite', circle, invite: kept?.invites[0]?.id ?? 0 };
    case 'paper_key':
      return { kind: 'paper_key', circle };
    default:
      return null;
  }
}

function sheetOf(kind: string | null): Sheet | null {
  switch (kind) {
    case 'share':
    case 'add_peer':
    case 'choose_peers':
    case 'add_forward':
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
