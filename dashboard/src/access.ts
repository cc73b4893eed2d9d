import type { Listed } from './session.svelte';

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

export async function listSessions(): Promise<Listed[]> {
  const answer = await fetch('/v1/sessions', { headers: { Accept: 'application/json' } });
  if (answer.ok) return (await answer.json()) as Listed[];
  const why = await refusal(answer);
  throw answer.status === 401 ? new LoginNeeded(why) : new Error(why);
}

/** Show the token once; the browser has a cookie from then on, which no script can read. */
export async function logIn(token: string): Promise<void> {
  const answer = await fetch('/v1/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  if (!answer.ok) throw new Error(await refusal(answer));
}

export async function logOut(): Promise<void> {
  const answer = await fetch('/v1/logout', { method: 'POST' });
  if (!answer.ok) throw new Error(await refusal(answer));
}
