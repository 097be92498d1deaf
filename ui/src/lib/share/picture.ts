// The picture that is saved: the code, and below it the name and the address.

import type { Code } from './code';

export interface Card {
  code: Code;
  name: string | null;
  address: string;
  ink: string;
  paper: string;
  font: string;
  mono: string;
}

const WIDTH = 1024;
const MARGIN = 48;
const NAME_SIZE = 44;
const ADDRESS_SIZE = 30;
const LINE = 1.4;

/** The card as a PNG in base64. */
export function pngOf(card: Card): string {
  const canvas = document.createElement('canvas');
  const { code, name, address } = card;
  // Whole pixels for each module: cameras like sharp edges.
  const scale = Math.floor(WIDTH / code.size);
  const side = scale * code.size;
  const named = name === null ? 0 : NAME_SIZE * LINE;
  canvas.width = WIDTH;
  canvas.height = Math.ceil(side + named + ADDRESS_SIZE * LINE + MARGIN);
  const brush = canvas.getContext('2d');
  if (!brush) throw new Error('this system draws no pictures');
  brush.fillStyle = card.paper;
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.fillStyle = card.ink;
  brush.save();
  brush.translate(Math.floor((WIDTH - side) / 2), 0);
  brush.scale(scale, scale);
  brush.fill(new Path2D(code.path));
  brush.restore();
  brush.textAlign = 'center';
  brush.textBaseline = 'top';
  const room = WIDTH - 2 * MARGIN;
  if (name !== null) {
    brush.font = `600 ${NAME_SIZE}px ${card.font}`;
    brush.fillText(name, WIDTH / 2, side, room);
  }
  brush.font = `${ADDRESS_SIZE}px ${card.mono}`;
  brush.fillText(address, WIDTH / 2, side + named, room);
  return canvas.toDataURL('image/png').replace(/^data:[^,]*,/, '');
}

/** A name for the file that every system takes. */
export function fileName(name: string | null): string {
  const words = (name ?? '')
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '');
  return words === '' ? 'planetary-link.png' : `planetary-link-${words}.png`;
}
