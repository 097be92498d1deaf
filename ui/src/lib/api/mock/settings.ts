// What can be set, changed with the care of the real service as far as it shows.

import type { Settings, SettingsChange } from '../protocol';
import { fail } from './refusal';

export const SETTINGS: Settings = {
  listen: ['tls://[::]:9443'],
  inbound: 'circles',
  echo: 'circles',
  sessions: 'auto',
  names: true,
  lan: true,
  transit: 'reluctant',
  save_on_battery: true,
  save_on_metered: true,
  gateway_socks: null,
  gateway_http: null,
  metrics: null,
  node_info_privacy: true,
  log_level: 'info',
  public_list: { url: 'https://peers.example/list.json', key: null },
  release_check: true,
  config_file: '/etc/planetary/config.toml',
};

/** An address that some other program has. */
const TAKEN = 'tcp://[::]:80';

/** The settings after `change`; throws a `Failure` and changes nothing when one of it is refused. */
export function changed(settings: Settings, change: SettingsChange): Settings {
  const removed = (change.listen_remove ?? []).map(shown);
  const missing = removed.find((uri) => !settings.listen.includes(uri));
  if (missing) throw fail('listener_not_found', `${missing} is not in the configuration file`);
  const listen = settings.listen.filter((uri) => !removed.includes(uri));
  for (const uri of change.listen_add ?? []) listen.push(listener(shown(uri), listen));
  const next: Settings = {
    ...settings,
    listen,
    inbound: change.inbound ?? settings.inbound,
    echo: change.echo ?? settings.echo,
    sessions: change.sessions ?? settings.sessions,
    names: change.names ?? settings.names,
    lan: change.lan ?? settings.lan,
    transit: change.transit ?? settings.transit,
    save_on_battery: change.save_on_battery ?? settings.save_on_battery,
    save_on_metered: change.save_on_metered ?? settings.save_on_metered,
    gateway_socks: local('gateway.socks', settings.gateway_socks, change.gateway_socks),
    gateway_http: local('gateway.http', settings.gateway_http, change.gateway_http),
    metrics: local('metrics.listen', settings.metrics, change.metrics),
    node_info_privacy: change.node_info_privacy ?? settings.node_info_privacy,
    log_level: change.log_level ?? settings.log_level,
    release_check: change.release_check ?? settings.release_check,
    public_list: publicList(settings.public_list, change),
  };
  const open = next.inbound === 'everyone' || next.echo === 'everyone';
  if (open && next.sessions === 'circles') {
    throw fail('invalid_setting', 'sessions = "circles" gives strangers no session');
  }
  return next;
}

/** An address of this computer to serve something at, or `null` for nowhere. */
function local(key: string, before: string | null, wish: string | null | undefined) {
  const address = wish ?? before ?? '';
  if (address !== '' && !/^(127(\.\d+){3}|\[::1\]):\d+$/.test(address)) {
    throw fail('invalid_setting', `${key}: "${address}" is no loopback address with a port`);
  }
  return address || null;
}

function publicList(before: Settings['public_list'], change: SettingsChange) {
  const url = change.public_list_url ?? before.url ?? '';
  const key = change.public_list_key ?? before.key ?? '';
  if (url !== '' && !url.startsWith('https://')) {
    throw fail('invalid_setting', `public_peers.url: "${url}" cannot be fetched`);
  }
  if (key !== '' && !/^[0-9a-f]{64}$/i.test(key)) {
    throw fail('invalid_setting', 'public_peers.key: a key has 64 hexadecimal digits');
  }
  return { url: url || null, key: key || null };
}

function listener(uri: string, listen: readonly string[]): string {
  if (!/^((tcp|tls|quic|ws|wss):\/\/.+:\d+|unix:\/\/\/.+)$/.test(uri)) {
    throw fail('invalid_uri', `\`${uri}\` cannot be listened on`);
  }
  if (listen.includes(uri)) throw fail('listener_exists', `${uri} is configured already`);
  if (uri === TAKEN) throw fail('cannot_listen', `cannot listen on ${uri}: address in use`);
  return uri;
}

/** A URI without its options. */
const shown = (uri: string) => uri.split('?')[0] ?? uri;
