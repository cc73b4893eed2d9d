import { addressOf, errorDetail } from './rest';

/** Exchange the token for a session cookie, which scripts cannot read. */
export async function logIn(token: string): Promise<void> {
  const response = await fetch(addressOf('/v1/login'), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  if (!response.ok) throw new Error(await errorDetail(response));
}

export async function logOut(): Promise<void> {
  const response = await fetch(addressOf('/v1/logout'), { method: 'POST' });
  if (!response.ok) throw new Error(await errorDetail(response));
}
