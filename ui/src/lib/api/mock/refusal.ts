import type { Failure } from '../backend';

/** A failure as the service would give it. */
class Refusal extends Error implements Failure {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string | null = null,
  ) {
    super(message);
  }
}

export const fail = (code: string, message: string) => new Refusal(code, message);
