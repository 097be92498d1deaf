// What the node runs with, as the service keeps it.

import type { Backend, Failure } from '../api/backend';
import { isFailure } from '../api/backend';
import type { Settings as Values, SettingsChange } from '../api/protocol';

export class Settings {
  /** The last settings that came; they stay when the service goes away. */
  values = $state.raw<Values | null>(null);
  failure = $state.raw<Failure | null>(null);

  constructor(readonly backend: Backend) {}

  async load(): Promise<void> {
    try {
      this.values = await this.backend.ask({ type: 'settings' });
      this.failure = null;
    } catch (error) {
      if (isFailure(error)) this.failure = error;
    }
  }

  /** Changes all of it or nothing; answers with the change that takes it back. */
  async change(change: SettingsChange): Promise<SettingsChange> {
    // Asked for anew, so that taking it back undoes no change that somebody else made.
    const before = await this.backend.ask({ type: 'settings' });
    this.values = await this.backend.ask({ type: 'settings_change', change });
    return inverse(before, this.values);
  }
}

/** What leads from `after` back to `before`. Options of listeners are not known and are lost. */
export function inverse(before: Values, after: Values): SettingsChange {
  const back: SettingsChange = {};
  const gone = before.listen.filter((uri) => !after.listen.includes(uri));
  const come = after.listen.filter((uri) => !before.listen.includes(uri));
  if (gone.length > 0) back.listen_add = gone;
  if (come.length > 0) back.listen_remove = come;
  if (before.inbound !== after.inbound) back.inbound = before.inbound;
  if (before.echo !== after.echo) back.echo = before.echo;
  if (before.sessions !== after.sessions) back.sessions = before.sessions;
  if (before.names !== after.names) back.names = before.names;
  if (before.lan !== after.lan) back.lan = before.lan;
  if (before.transit !== after.transit) back.transit = before.transit;
  for (const key of ['save_on_battery', 'save_on_metered'] as const) {
    if (before[key] !== after[key]) back[key] = before[key];
  }
  for (const key of ['gateway_socks', 'gateway_http', 'metrics'] as const) {
    if (before[key] !== after[key]) back[key] = before[key] ?? '';
  }
  if (before.node_info_privacy !== after.node_info_privacy) {
    back.node_info_privacy = before.node_info_privacy;
  }
  if (before.log_level !== after.log_level) back.log_level = before.log_level;
  if (before.release_check !== after.release_check) back.release_check = before.release_check;
  const [old, list] = [before.public_list, after.public_list];
  if (old.url !== list.url) back.public_list_url = old.url ?? '';
  if (old.key !== list.key) back.public_list_key = old.key ?? '';
  return back;
}
