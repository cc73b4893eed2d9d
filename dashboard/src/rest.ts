/** The service asks for a token, or for another one. */
export class LoginNeeded extends Error {
  override name = 'LoginNeeded';
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
 * A refusal is an Error in the service's words; one for want of a token is LoginNeeded. An answer
 * without a body is undefined.
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
  throw answer.status === 401 ? new LoginNeeded(why) : new Error(why);
}
