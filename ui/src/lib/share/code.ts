// A link as a QR code, which we draw ourselves: as a path on the screen and on paper, and as a
// picture that is saved.

import { create } from 'qrcode';

/** Empty modules around a code, as the standard asks for. */
export const QUIET = 4;

export interface Code {
  /** Modules along a side, with the quiet zone. */
  size: number;
  /** All dark modules, as a path in which a module is 1 by 1. */
  path: string;
}

export function codeOf(text: string): Code {
  const { modules } = create(text, { errorCorrectionLevel: 'M' });
  const parts: string[] = [];
  for (let row = 0; row < modules.size; row += 1) {
    for (let column = 0; column < modules.size; column += 1) {
      if (!modules.get(row, column)) continue;
      let end = column + 1;
      while (end < modules.size && modules.get(row, end)) end += 1;
      parts.push(`M${column + QUIET} ${row + QUIET}h${end - column}v1H${column + QUIET}z`);
      column = end;
    }
  }
  return { size: modules.size + 2 * QUIET, path: parts.join('') };
}
