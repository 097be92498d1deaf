// Runs a force layout beside the window, so that the map never stutters. A new question ends the
// one before it. Answers leave every REPORT_MS, and when all is still.

import { ForceRun, type ForceInput } from './force';

const REPORT_MS = 160;

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<ForceInput>) => void) | null;
  postMessage(message: unknown, transfer: Transferable[]): void;
};

let run: ForceRun | null = null;
let scheduled = false;

scope.onmessage = (event) => {
  run = new ForceRun(event.data);
  next();
};

function next(): void {
  if (scheduled) return;
  scheduled = true;
  // A task of its own, so that a new question is heard between two reports.
  setTimeout(() => {
    scheduled = false;
    advance();
  }, 0);
}

function advance(): void {
  const current = run;
  if (!current) return;
  const until = performance.now() + REPORT_MS;
  while (!current.done && performance.now() < until) current.step();
  const report = current.positions();
  scope.postMessage(report, [report.x.buffer, report.y.buffer]);
  if (current.done) run = null;
  else next();
}
