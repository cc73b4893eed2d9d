import { ask, refusal } from './rest';
import type { Listed } from '../state/session.svelte';

export const listSessions = (): Promise<Listed[]> => ask('GET', '/v1/sessions');

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
