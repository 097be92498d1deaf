import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { create } from 'qrcode';
import { beforeEach, describe, expect, it } from 'vitest';
import App from '../../App.svelte';
import type { Status } from '../api/protocol';
import { MockBackend } from '../api/mock/backend';
import { status } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import { dateTime } from '../format';
import { t } from '../i18n/index.svelte';
import { App as Stores } from '../stores/app.svelte';
import { codeOf, QUIET } from './code';
import { Offer } from './offer.svelte';
import { candidates, isPublic } from './peers';
import { fileName } from './picture';

beforeEach(() => localStorage.clear());

describe('the code', () => {
  it('draws every dark module once, inside of a quiet zone', () => {
    const text = 'planetary:friend?k=test';
    const { size, path } = codeOf(text);
    const { modules } = create(text, { errorCorrectionLevel: 'M' });
    expect(size).toBe(modules.size + 2 * QUIET);
    const dark = new Set<string>();
    for (const [, x, y, width] of path.matchAll(/M(\d+) (\d+)h(\d+)v1H\1z/g)) {
      for (let at = 0; at < Number(width); at += 1) {
        const module = `${Number(x) + at - QUIET} ${Number(y) - QUIET}`;
        expect(dark.has(module)).toBe(false);
        dark.add(module);
      }
    }
    for (let row = 0; row < modules.size; row += 1) {
      for (let column = 0; column < modules.size; column += 1) {
        expect(dark.has(`${column} ${row}`)).toBe(Boolean(modules.get(row, column)));
      }
    }
  });
});

describe('names of files', () => {
  it('are ones that every system takes', () => {
    expect(fileName(null)).toBe('planetary-link.png');
    expect(fileName('../Anna’s laptop: №1')).toBe('planetary-link-Anna-s-laptop-1.png');
    expect(fileName('Зоя')).toBe('planetary-link-Зоя.png');
  });
});

describe('peers for a link', () => {
  it.each([
    ['tls://falkenstein.peers.example:443', true],
    ['quic://[2a01:4f8::1]:7443', true],
    ['tcp://8.8.8.8:9001', true],
    ['tcp://192.168.1.4:9001', false],
    ['tcp://100.64.0.9:9001', false],
    ['tcp://203.0.113.9:9001', false],
    ['tcp://[2001:db8::4]:12345', false],
    ['tcp://[fe80::1]:12345', false],
    ['tcp://[200:1::2]:12345', false],
    ['tls://printer.local:443', false],
    ['tls://server:443', false],
    ['unix:///run/peer.sock', false],
    ['socks://proxy.example:1080', false],
  ])('%s may be in it: %s', (uri, may) => {
    expect(isPublic(uri)).toBe(may);
  });

  it('are what the service proposed, then others that are up, each once', () => {
    const proposed = ['tls://falkenstein.peers.example:443?key=00'];
    const normal: Status = status('normal');
    expect(candidates(proposed, normal)).toEqual([
      ...proposed,
      'quic://strasbourg.mesh.example:7443',
    ]);
  });
});

describe('an offer', () => {
  it('keeps to what was asked last and remembers the name', async () => {
    const offer = new Offer(new MockBackend(readScenario('?frozen')));
    offer.name = 'A';
    const early = offer.make();
    offer.name = ' Ada ';
    await Promise.all([offer.make(), early]);
    expect(offer.shared?.name).toBe('Ada');
    await offer.choose([]);
    expect(offer.shared?.peers).toEqual([]);
    expect(new Offer(offer.backend).name).toBe('Ada');
  });
});

describe('Share', () => {
  async function open(query: string) {
    const backend = new MockBackend(readScenario(`?frozen&${query}`));
    const app = new Stores(backend);
    await app.preferences.load();
    render(App, { props: { app } });
    await new Promise((resolve) => setTimeout(resolve));
    app.navigation.open({ kind: 'share' });
    const sheet = within(await screen.findByTestId('share-sheet'));
    return { app, backend, sheet };
  }

  it('shows code and link, and says until when strangers are listened to', async () => {
    const { sheet, app } = await open('scene=normal');
    const link = (await sheet.findByTestId('share-link')).textContent ?? '';
    expect(link).toContain(`planetary:friend?k=${app.service.status?.key ?? ''}`);
    expect(sheet.getByTestId('qr-code').querySelector('path')?.getAttribute('d')).toBe(
      codeOf(link).path,
    );
    const until = dateTime((app.service.status?.time ?? 0) + 172_800);
    expect(sheet.getByTestId('share-until').textContent).toContain(until);
    expect(sheet.getByTestId('share-until').textContent).toContain(t('share.closed'));
  });

  it('does not call a computer closed that is open', async () => {
    const { sheet } = await open('scene=open');
    expect((await sheet.findByTestId('share-until')).textContent).toContain(t('share.open'));
  });

  it('copies the link', async () => {
    const { sheet, backend } = await open('scene=normal');
    const link = (await sheet.findByTestId('share-link')).textContent;
    await userEvent.click(sheet.getByTestId('share-copy'));
    expect(backend.copied).toEqual([link]);
    expect(await sheet.findByText(t('copied.link'))).toBeTruthy();
  });

  it('puts the name that is typed into the link', async () => {
    const { sheet } = await open('scene=normal');
    await userEvent.type(await sheet.findByTestId('share-name'), 'Ada');
    expect(await sheet.findByText(/&n=Ada&/)).toBeTruthy();
  });

  it('names a mistake in the name', async () => {
    const { sheet } = await open('scene=normal');
    await userEvent.type(await sheet.findByTestId('share-name'), 'everyone');
    expect(sheet.getByRole('alert').textContent).toBe(t('friend.name.everyone'));
  });

  it('leaves out a peer that is not to be in it', async () => {
    const { sheet } = await open('scene=normal');
    const [first] = await sheet.findAllByTestId<HTMLInputElement>('share-peer');
    expect(first?.checked).toBe(true);
    await userEvent.click(first!);
    expect((await sheet.findByTestId('share-link')).textContent).not.toContain('&p=');
  });

  it('lies beside the app for the printer, as long as it is open', async () => {
    const { sheet, app } = await open('scene=normal');
    await sheet.findByTestId('share-link');
    const paper = document.querySelector('body > .printed');
    expect(paper?.textContent).toContain(app.service.status?.address);
    app.navigation.close();
    await new Promise((resolve) => setTimeout(resolve));
    expect(document.querySelector('.printed')).toBeNull();
  });

  it('says that it cannot, and why, while the service is away', async () => {
    const { sheet } = await open('scene=stopped');
    expect(sheet.getByTestId('service-away')).toBeTruthy();
    expect(sheet.queryByTestId('share-copy')).toBeNull();
  });
});
