// What a person says about a local network.

import { t } from '../i18n/index.svelte';
import type { App } from '../stores/app.svelte';
import { networkName, type Network } from './words';

/** Has nodes looked for on a network, or no longer, and says so. */
export async function trustNetwork(app: App, network: Network, trusted: boolean): Promise<void> {
  try {
    await app.backend.ask({ type: 'lan_trust', network: network.network, trusted });
  } catch (error) {
    app.toasts.fail(error);
    return;
  }
  const said = t(trusted ? 'lan.trusted' : 'lan.refused', { network: networkName(network) });
  // Where nobody was asked before there is no former answer to go back to.
  if (network.state === 'unknown') {
    const run = () => app.navigation.go('settings', { focus: 'lan_networks' });
    app.toasts.say(said, { label: t('nav.settings'), run });
  } else {
    const run = () => void trustNetwork(app, network, !trusted);
    app.toasts.say(said, { label: t('common.undo'), run });
  }
}
