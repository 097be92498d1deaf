// Follows a job of the service from its start to its end.

import type { Backend } from '../api/backend';
import type { PeerJob, Request } from '../api/protocol';

export type JobRequest = Extract<Request, { type: 'peer_test' | 'peer_choose' }>;

/** How far a job is, as people are told. */
export interface Progress {
  tested: number;
  total: number;
  /** Seconds until it is done, going by how it went so far; `null` while that says nothing. */
  left_s: number | null;
}

/** Results before the time left is told: fewer are a matter of luck. */
const TELLING = 4;

/** How far something is that began `elapsed_ms` ago. */
export function progressOf(tested: number, total: number, elapsed_ms: number): Progress {
  if (tested < TELLING || tested >= total) return { tested, total, left_s: null };
  const left_s = Math.ceil(((elapsed_ms / tested) * (total - tested)) / 1000);
  return { tested, total, left_s: Math.max(1, left_s) };
}

/** Starts a job and answers with the whole of it when it is done or `stop` has ended it. */
export async function runJob(
  backend: Backend,
  request: JobRequest,
  stop: AbortSignal,
  onnews: (job: PeerJob) => void,
): Promise<PeerJob> {
  let news: PeerJob = await backend.ask(request);
  const { job } = news;
  const results = [...news.results];
  // The request that waits for news is answered as soon as the job has ended. A job that could not
  // be cancelled ends by itself, since nobody asks for it any more.
  const cancel = () => {
    const seen = results.length;
    backend.ask({ type: 'peer_job_cancel', job, seen }).catch(() => undefined);
  };
  stop.addEventListener('abort', cancel);
  try {
    if (stop.aborted) cancel();
    for (;;) {
      onnews({ ...news, results: [...results] });
      if (news.done) break;
      news = await backend.ask({ type: 'peer_job', job, seen: results.length });
      results.push(...news.results);
    }
  } finally {
    stop.removeEventListener('abort', cancel);
  }
  if (news.error) throw Object.assign(new Error(news.error.message), news.error);
  return { ...news, results };
}
