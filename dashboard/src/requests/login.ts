import { errorDetail, respond } from './rest';

/** Exchange the token for a session cookie, which scripts cannot read. */
export const logIn = (token: string): Promise<void> => post('/v1/login', { token });

/** Exchange a one-time code for a session cookie that may only view. */
export const logInWithCode = (code: string): Promise<void> => post('/v1/login/code', { code });

export const logOut = (): Promise<void> => post('/v1/logout');

async function post(path: string, body?: object): Promise<void> {
  const response = await respond(path, {
    method: 'POST',
    ...(body && {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
  if (!response.ok) throw new Error(await errorDetail(response));
}
