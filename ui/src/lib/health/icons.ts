// One shape for each result, so that none is told by its colour alone.

import {
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleQuestionMark,
  Info,
  TriangleAlert,
} from '@lucide/svelte';
import type { Line } from './checks';

export type Mark = Line['state'] | 'waiting';

export const icons = {
  ok: CircleCheck,
  info: Info,
  warning: TriangleAlert,
  error: CircleAlert,
  unknown: CircleQuestionMark,
  waiting: CircleDashed,
} satisfies Record<Mark, unknown>;
