// The one thing that this app can do about a condition.

import type { Connection, Step } from '../api/shell';
import { t, type Key } from '../i18n/index.svelte';
import type { App } from '../stores/app.svelte';
import type { View } from '../stores/navigation.svelte';

export type Remedy = { label: Key } & (
  | { kind: 'supervise'; step: Step }
  | { kind: 'up' }
  | { kind: 'reconnect' }
  | { kind: 'resume' }
  | { kind: 'go'; view: View; tab?: string; focus?: string }
  | { kind: 'choose_peers' }
  | { kind: 'copy'; command: string }
  | { kind: 'again' }
);

const supervise = (step: Step): Remedy => ({ kind: 'supervise', step, label: `health.do.${step}` });
const go = (label: Key, view: View, where: { tab?: string; focus?: string } = {}): Remedy => ({
  kind: 'go',
  view,
  label,
  ...where,
});
const again: Remedy = { kind: 'again', label: 'health.do.again' };
const reconnect: Remedy = { kind: 'reconnect', label: 'health.do.reconnect' };
const choose: Remedy = { kind: 'choose_peers', label: 'health.do.choose_peers' };
const peers = go('health.do.peers', 'peers', { tab: 'connected' });
const log = go('health.do.log', 'health', { tab: 'log' });

const REMEDIES: Partial<Record<string, Remedy>> = {
  not_installed: supervise('install'),
  stopped: supervise('start'),
  version_mismatch: supervise('restart'),
  version_differs: supervise('restart'),
  unreachable: supervise('restart'),
  node_broken: supervise('restart'),
  node_not_started: supervise('restart'),
  rights_missing: supervise('install'),
  down: { kind: 'up', label: 'health.do.connect' },
  tun_lost: reconnect,
  interface_changed: reconnect,
  mtu_changed: reconnect,
  route_missing: reconnect,
  friends_damaged: { kind: 'resume', label: 'health.do.resume' },
  no_peers_configured: choose,
  chosen_peers_damaged: choose,
  no_answer: choose,
  no_peer_connected: peers,
  peer_refused: peers,
  peer_down: peers,
  peer_replaced: peers,
  paused_peers_damaged: peers,
  names_not_resolved: peers,
  files_scarce: peers,
  memory_scarce: peers,
  public_list_damaged: go('health.do.public', 'peers', { tab: 'public' }),
  listener_failed: go('health.do.settings', 'settings', { focus: 'listen' }),
  lan_not_trusted: go('health.do.settings', 'settings', { focus: 'lan_networks' }),
  saving: go('health.do.settings', 'settings', { focus: 'save_on_battery' }),
  networks_damaged: go('health.do.settings', 'settings', { focus: 'lan_networks' }),
  forwards_damaged: go('health.do.settings', 'settings', { focus: 'forward_ports' }),
  metrics_failed: go('health.do.settings', 'settings', { focus: 'metrics' }),
  open_unreachable: go('health.do.settings', 'settings', { focus: 'privacy' }),
  config_not_read: log,
  state_not_stored: log,
  web_certificate: log,
  admin_not_listening: log,
  circles_damaged: log,
  circles_not_stored: log,
  root_changes: go('health.do.map', 'map'),
  intent_damaged: go('health.do.home', 'home'),
  // These are set right outside the app; what is left is to look whether it helped.
  untrusted: again,
  connection_lost: again,
  too_many_clients: again,
  deadline_exceeded: again,
  identity_exposed: again,
  config_exposed: again,
  unguarded: again,
  network_clash: again,
  other_node: again,
  clock_before_release: again,
  clock_differs: again,
  disk_scarce: again,
  names_not_asked: again,
  not_checked: again,
};

/** What can be done about `code` from here, or `null` when nothing needs to be or can be. */
export function remedyOf(code: string, connection: Connection): Remedy | null {
  const remedy = REMEDIES[code] ?? null;
  if (connection.state === 'connecting') return remedy;
  if (connection.state === 'ready') return remedy;
  // The system's service manager is asked where that is possible; else the person does it.
  const { command, can_supervise } = connection;
  if (code !== connection.state) return remedy;
  if (remedy?.kind === 'supervise' && can_supervise) return remedy;
  return command === null ? again : { kind: 'copy', command, label: 'health.do.copy' };
}

/** Carries a remedy out. */
export async function apply(remedy: Remedy, app: App, check: () => void): Promise<void> {
  const { navigation, service, toasts } = app;
  switch (remedy.kind) {
    case 'supervise':
      await service.turn(remedy.step);
      break;
    case 'up':
      await service.turn('up');
      break;
    case 'reconnect':
      await service.turn('down');
      if (!service.failure) await service.turn('up');
      break;
    case 'resume':
      try {
        await app.backend.ask({ type: 'resume' });
      } catch (error) {
        toasts.fail(error);
      }
      check();
      return;
    case 'go':
      navigation.go(remedy.view, { ...remedy });
      return;
    case 'choose_peers':
      navigation.open({ kind: 'choose_peers' });
      return;
    case 'copy':
      await app.copy(remedy.command, t('copied.command'));
      return;
    case 'again':
      check();
      return;
  }
  if (service.failure) toasts.fail(service.failure);
  check();
}
