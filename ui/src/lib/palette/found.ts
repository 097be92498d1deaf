// Everything that the palette can find, made from what the page knows at the moment.

import type { Component } from 'svelte';
import {
  Activity,
  ArrowRightLeft,
  ChevronsUp,
  CircleDot,
  CirclePlus,
  Copy,
  DoorOpen,
  FileText,
  House,
  KeyRound,
  Map as MapIcon,
  Moon,
  Network,
  Pause,
  Play,
  Plus,
  Power,
  Settings as Cog,
  Share2,
  Sun,
  SunMoon,
  UserPlus,
  UserRound,
  Users,
} from '@lucide/svelte';
import type { Preferences } from '../api/shell';
import { latency, peerUri } from '../format';
import { t, type Key } from '../i18n/index.svelte';
import type { App } from '../stores/app.svelte';
import { nameOf } from '../stores/lately';
import { VIEWS, type View } from '../stores/navigation.svelte';
import { isWanted } from '../stores/phase';
import { settings } from './entries';

export type Group = 'action' | 'view' | 'friend' | 'circle' | 'peer' | 'setting';

export interface Found {
  id: string;
  group: Group;
  label: string;
  words: string;
  icon: Component<{ size?: number; strokeWidth?: number }>;
  /** A few words at the end of the line: a shortcut, a latency. */
  note: string;
  run: () => void;
}

const PAUSE_S = 3600;
const VIEW_ICONS = {
  home: House,
  friends: Users,
  peers: Network,
  map: MapIcon,
  health: Activity,
  settings: Cog,
} satisfies Record<View, unknown>;

/** The entries in the order in which they are shown while nothing is typed. */
export function everything(app: App): Found[] {
  return [
    ...actions(app),
    ...views(app),
    ...friends(app),
    ...circles(app),
    ...peers(app),
    ...preferences(app),
  ];
}

function actions(app: App): Found[] {
  const { navigation, preferences, service } = app;
  const { status, ready, mayChange } = service;
  const action = (
    name: string,
    label: Key,
    words: Key,
    icon: Found['icon'],
    run: () => void,
  ): Found => ({
    id: `action.${name}`,
    group: 'action',
    label: t(label),
    words: t(words),
    icon,
    note: '',
    run,
  });
  const on = isWanted(service.phase);
  const toggle = on
    ? action(
        'disconnect',
        'palette.action.disconnect',
        'palette.action.connection.words',
        Power,
        () => void turn(app, 'down'),
      )
    : action(
        'connect',
        'palette.action.connect',
        'palette.action.connection.words',
        Power,
        () => void turn(app, 'up'),
      );
  const paused = status !== null && status.access.paused !== null;
  const hold = paused
    ? action(
        'resume',
        'palette.action.resume',
        'palette.action.resume.words',
        Play,
        () => void hush(app, null),
      )
    : action(
        'pause',
        'palette.action.pause',
        'palette.action.pause.words',
        Pause,
        () => void hush(app, PAUSE_S),
      );
  const changes = [
    toggle,
    action('share', 'palette.action.share', 'palette.action.share.words', Share2, () =>
      navigation.open({ kind: 'share' }),
    ),
    action(
      'add_friend',
      'palette.action.add_friend',
      'palette.action.add_friend.words',
      UserPlus,
      () => navigation.open({ kind: 'add_friend', text: '' }),
    ),
    action(
      'create_circle',
      'palette.action.create_circle',
      'palette.action.create_circle.words',
      CirclePlus,
      () => navigation.open({ kind: 'create_circle' }),
    ),
    action(
      'join_circle',
      'palette.action.join_circle',
      'palette.action.join_circle.words',
      DoorOpen,
      () => navigation.open({ kind: 'join', text: '' }),
    ),
    action('reach', 'palette.action.reach', 'palette.action.reach.words', KeyRound, () =>
      navigation.go('friends', { tab: 'reach' }),
    ),
    action('add_peer', 'palette.action.add_peer', 'palette.action.add_peer.words', Plus, () =>
      navigation.open({ kind: 'add_peer' }),
    ),
    action(
      'choose_peers',
      'palette.action.choose_peers',
      'palette.action.choose_peers.words',
      ChevronsUp,
      () => navigation.open({ kind: 'choose_peers' }),
    ),
    action('add_forward', 'forward.add', 'settings.words.forwards', ArrowRightLeft, () =>
      navigation.open({ kind: 'add_forward' }),
    ),
    hold,
  ];
  const reads = [
    action(
      'copy_address',
      'palette.action.copy_address',
      'palette.action.copy_address.words',
      Copy,
      () => {
        if (status) void app.copy(status.address, t('copied.address'));
      },
    ),
    action('report', 'palette.action.report', 'palette.action.report.words', FileText, () =>
      navigation.open({ kind: 'report' }),
    ),
  ];
  const appearance = (name: Preferences['appearance'], icon: Found['icon']) =>
    action(name, `palette.action.${name}`, 'palette.action.appearance.words', icon, () =>
      change(app, name),
    );
  const looks = [
    appearance('light', Sun),
    appearance('dark', Moon),
    appearance('system', SunMoon),
  ].filter((one) => one.id !== `action.${preferences.values.appearance}`);
  return [
    ...(mayChange ? changes : []),
    ...(ready ? reads : []),
    action('check', 'palette.action.check', 'palette.action.check.words', Activity, () =>
      navigation.go('health'),
    ),
    ...looks,
  ];
}

function views({ navigation }: App): Found[] {
  const key = isApple() ? '⌘' : 'Ctrl ';
  return VIEWS.map((view, at) => ({
    id: `view.${view}`,
    group: 'view',
    label: t(`nav.${view}`),
    words: '',
    icon: VIEW_ICONS[view],
    note: `${key}${at + 1}`,
    run: () => navigation.go(view),
  }));
}

function friends({ friends, navigation }: App): Found[] {
  return (friends.list ?? []).map((friend) => ({
    id: `friend.${friend.key}`,
    group: 'friend',
    label: friend.name,
    words: `${friend.address} ${friend.key} ${friend.notes}`,
    icon: UserRound,
    note: friend.online ? '' : t('palette.offline'),
    run: () => {
      navigation.go('friends', { focus: friend.key });
      navigation.open({ kind: 'friend', key: friend.key });
    },
  }));
}

function circles({ circles, navigation }: App): Found[] {
  return (circles.list ?? []).map(({ id, name, state, online }) => ({
    id: `circle.${id}`,
    group: 'circle',
    label: name,
    words: t('friends.tab.circles'),
    icon: CircleDot,
    note: state === 'member' ? t('circles.online', { online }) : t(`circles.state.${state}`),
    run: () => {
      navigation.go('friends', { tab: 'circles', focus: id });
      navigation.open({ kind: 'circle', id });
    },
  }));
}

function peers({ friends, navigation, service }: App): Found[] {
  return (service.status?.peers ?? []).map((peer) => ({
    id: `peer.${peer.link}`,
    group: 'peer',
    label: (peer.key !== null && friends.find(peer.key)?.name) || nameOf(peer),
    words: `${peer.uri} ${peer.address ?? ''} ${peer.key ?? ''}`,
    icon: Network,
    note: `${peerUri(peer.uri).transport} · ${
      peer.up ? latency(peer.latency_ms) : t('palette.offline')
    }`,
    run: () => {
      navigation.go('peers', { tab: 'connected', focus: String(peer.link) });
      navigation.open({ kind: 'peer', link: peer.link });
    },
  }));
}

function preferences({ navigation }: App): Found[] {
  return settings.map(({ focus, group, label, words }) => ({
    id: `setting.${focus}`,
    group: 'setting',
    label: t(label),
    words: words === null ? '' : t(words),
    icon: Cog,
    note: t(`settings.${group}`),
    run: () => navigation.go('settings', { focus }),
  }));
}

async function turn({ service, toasts }: App, wish: 'up' | 'down'): Promise<void> {
  await service.turn(wish);
  if (service.failure) toasts.fail(service.failure);
}

/** Pauses all access for so many seconds, or ends the pause. */
async function hush({ backend, toasts }: App, for_s: number | null): Promise<void> {
  try {
    if (for_s === null) await backend.ask({ type: 'resume' });
    else await backend.ask({ type: 'pause', for_s });
    toasts.say(t(for_s === null ? 'palette.action.resume.done' : 'palette.action.pause.done'));
  } catch (error) {
    toasts.fail(error);
  }
}

function change({ preferences, toasts }: App, appearance: Preferences['appearance']): void {
  const again = (before: Partial<Preferences>) => void preferences.change(before);
  preferences.change({ appearance }).then(
    (before) => {
      const undo = { label: t('common.undo'), run: () => again(before) };
      toasts.say(t('palette.appearance.done'), undo);
    },
    (error: unknown) => toasts.fail(error),
  );
}

/** Whether the keyboard has a command key. */
export function isApple(): boolean {
  return /Mac|iPhone|iPad/.test(navigator.platform);
}
