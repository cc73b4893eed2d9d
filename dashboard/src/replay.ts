import { refusal } from './access';

/** How a session's recording is played, as in service/replay_api.py. */
export interface Replay {
  /** Of the next sample, seconds: its index divided by sfreq. */
  position: number;
  length: number;
  speed: number | 'max';
  paused: boolean;
  loop: boolean;
}

export type ReplayChange = Partial<Omit<Replay, 'length'>>;

/** Reads and changes it; a refusal is an Error in the service's words. */
export interface Replays {
  read(session: string): Promise<Replay>;
  change(session: string, change: ReplayChange): Promise<Replay>;
}

async function ask(session: string, request: RequestInit): Promise<Replay> {
  const answer = await fetch(`/v1/sessions/${encodeURIComponent(session)}/replay`, request);
  if (answer.ok) return (await answer.json()) as Replay;
  throw new Error(await refusal(answer));
}

export const replays: Replays = {
  read: (session) => ask(session, {}),
  change: (session, change) =>
    ask(session, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(change),
    }),
};
