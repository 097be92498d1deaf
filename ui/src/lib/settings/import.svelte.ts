// What is brought from elsewhere: a file is looked at, what it would change is shown, and only then,
// and only when that was wished for, it is done.

import type { Failure } from '$lib/api/backend';
import { isFailure } from '$lib/api/backend';
import type { Backend } from '$lib/api/backend';
import type { Identity, ImportItem } from '$lib/api/protocol';
import { recognise, type FileKind } from './recognise';

export interface Source {
  name: string;
  text: string;
}

/** What a file changes, or would change. */
export interface Outcome {
  before: Identity;
  after: Identity;
  /** Whether the two differ. */
  differs: boolean;
  /** When a backup was made. */
  created: number | null;
  /** Parts of a backup that this version cannot take. */
  left: string[];
  /** What becomes of each setting; `null` for a bare identity. */
  items: ImportItem[] | null;
  /** Where the former key is. */
  kept: string | null;
  config_file: string | null;
}

export class Import {
  source = $state.raw<Source | null>(null);
  passphrase = $state('');
  /** Whether the identity of a configuration is taken as well. */
  withIdentity = $state(true);
  /** Whether settings that are set differently here are replaced. */
  overwrite = $state(false);
  preview = $state.raw<Outcome | null>(null);
  done = $state.raw<Outcome | null>(null);
  failure = $state.raw<Failure | null>(null);
  busy = $state(false);

  readonly file: FileKind | null = $derived(this.source ? recognise(this.source.text) : null);
  /** Whether nothing would change. */
  readonly isIdle = $derived(
    this.preview !== null &&
      !this.preview.differs &&
      !(this.preview.items ?? []).some((item) => item.outcome === 'taken'),
  );
  #asked = 0;

  constructor(readonly backend: Backend) {}

  /** Takes a file; what needs no passphrase is looked into at once. */
  async take(source: Source): Promise<void> {
    this.clear();
    this.source = source;
    if (this.file?.kind === 'key' || this.file?.kind === 'settings') await this.look();
  }

  clear(): void {
    this.#asked += 1;
    this.source = this.preview = this.done = this.failure = null;
    this.passphrase = '';
    this.withIdentity = true;
    this.overwrite = this.busy = false;
  }

  /** Asks what would change, and changes nothing. */
  async look(): Promise<void> {
    const preview = await this.#ask(true);
    if (preview) this.preview = preview;
  }

  /** Does what the preview shows. */
  async apply(): Promise<void> {
    const done = await this.#ask(false);
    if (!done) return;
    this.done = done;
    this.passphrase = '';
  }

  async #ask(dry_run: boolean): Promise<Outcome | null> {
    const asked = ++this.#asked;
    this.busy = true;
    this.failure = null;
    try {
      const outcome = await this.#request(dry_run);
      // Another file was taken meanwhile.
      return asked === this.#asked ? outcome : null;
    } catch (error) {
      if (!isFailure(error)) throw error;
      if (asked === this.#asked) this.failure = error;
      return null;
    } finally {
      if (asked === this.#asked) this.busy = false;
    }
  }

  async #request(dry_run: boolean): Promise<Outcome | null> {
    const { file, source } = this;
    if (!file || !source) return null;
    const { text, name } = source;
    switch (file.kind) {
      case 'backup':
      case 'key': {
        const passphrase = file.kind === 'backup' ? this.passphrase : null;
        const wish = { text, passphrase, dry_run, replace: true };
        const answer = await this.backend.importIdentity(wish);
        return { ...answer, items: null, config_file: null };
      }
      case 'settings': {
        const answer = await this.backend.importSettings({
          text,
          name: file.toml && !/\.toml$/i.test(name) ? `${name}.toml` : name,
          dry_run,
          // An identity that replaces another brings its settings along.
          replace: this.withIdentity || this.overwrite,
          keep_identity: !this.withIdentity,
        });
        return { ...answer, created: null, left: [] };
      }
      case 'unknown':
        return null;
    }
  }
}

/** The text of a file; those of Windows may be UTF-16. */
export async function textOf(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const mark = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  const encoding = { 0xfffe: 'utf-16le', 0xfeff: 'utf-16be' }[mark] ?? 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}
