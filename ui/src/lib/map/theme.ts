// Colours and fonts of the canvas, from the tokens of the page. Read when the appearance changes,
// not for every picture.

export interface Theme {
  readonly dark: boolean;
  readonly background: string;
  readonly surface: string;
  readonly text: string;
  readonly muted: string;
  /** You. */
  readonly accent: string;
  /** Others: links, sessions, what is selected. */
  readonly link: string;
  /** Nodes that are only known. */
  readonly plain: string;
  /** Edges that others told of. */
  readonly faint: string;
  /** Circles around you. */
  readonly ring: string;
  /** Direct links from fast to slow, the last for an unknown round trip. */
  readonly shades: readonly string[];
  readonly font: string;
  readonly mono: string;
}

/** Round trips in milliseconds at which a link takes the next shade. */
export const SHADE_MS = [40, 120, 300] as const;

type Rgb = readonly [number, number, number];

function parse(color: string): Rgb {
  const [r = 128, g = 128, b = 128] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return color.startsWith('color(') ? [r * 255, g * 255, b * 255] : [r, g, b];
}

function format(color: Rgb): string {
  return `rgb(${color.map((part) => Math.round(part)).join(' ')})`;
}

/** A colour on the way from `a` to `b`. */
export function mix(a: string, b: string, share: number): string {
  const [from, to] = [parse(a), parse(b)];
  const part = (i: 0 | 1 | 2): number => from[i] + (to[i] - from[i]) * share;
  return format([part(0), part(1), part(2)]);
}

/** Reads the theme that holds at `element`. */
export function readTheme(element: HTMLElement): Theme {
  const probe = document.createElement('span');
  probe.style.forcedColorAdjust = 'none';
  probe.hidden = true;
  element.append(probe);
  const forced = matchMedia('(forced-colors: active)').matches;
  const read = (token: string, system: string): string => {
    probe.style.color = forced ? system : `var(${token})`;
    return format(parse(getComputedStyle(probe).color));
  };
  const style = getComputedStyle(element);
  const font = style.getPropertyValue('--font').trim() || 'sans-serif';
  const mono = style.getPropertyValue('--font-mono').trim() || 'monospace';
  const background = read('--bg', 'Canvas');
  const surface = read('--surface', 'Canvas');
  const text = read('--text', 'CanvasText');
  const muted = read('--text-muted', 'CanvasText');
  const accent = read('--accent', 'Highlight');
  const link = read('--link', 'LinkText');
  probe.remove();
  const [r, g, b] = parse(background);
  const dark = r * 0.3 + g * 0.6 + b * 0.1 < 128;
  return {
    dark,
    background,
    surface,
    text,
    muted,
    accent,
    link,
    plain: forced ? text : mix(muted, link, 0.35),
    faint: forced ? text : mix(background, muted, dark ? 0.38 : 0.45),
    ring: mix(background, muted, dark ? 0.13 : 0.16),
    shades: [0, 0.22, 0.45, 0.62].map((share) => mix(link, background, share)),
    font,
    mono,
  };
}

/** Which of `Theme.shades` a round trip has. */
export function shadeOf(latency: number): number {
  if (Number.isNaN(latency)) return 2;
  const slower = SHADE_MS.findIndex((limit) => latency < limit);
  return slower < 0 ? SHADE_MS.length : slower;
}
