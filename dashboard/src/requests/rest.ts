/** The service asks for a token, or for another one. */
export class LoginNeeded extends Error {
  override name = 'LoginNeeded';
}

/** The service has nothing to give now, and may have again. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** Why the service refused, in its own words where it has some. */
export async function refusal(answer: Response): Promise<string> {
  try {
    const { detail } = (await answer.json()) as { detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // no problem details: what answers is not the service
  }
  return `the service answered ${answer.status}`;
}

/** What went wrong, in words. */
export const wordsOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/**
 * One request to the service that this page came from, and its answer.
 *
 * A refusal is an Error in the service's words; one for want of a token is LoginNeeded,
 * a 503 Unavailable. An answer without a body is undefined.
 */
export async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const sent =
    body === undefined
      ? {}
      : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  const answer = await fetch(path, { method, ...sent }).catch(() => {
    throw new Error('the service does not answer');
  });
  if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T;
  const why = await refusal(answer);
  if (answer.status === 401) throw new LoginNeeded(why);
  throw answer.status === 503 ? new Unavailable(why) : new Error(why);
}
