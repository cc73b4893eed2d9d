import { request } from './rest';

/** The reason why the service cannot record, or null. */
export async function recordingProblem(): Promise<string | null> {
  const { detail } = await request<{ detail?: string }>('GET', '/readyz');
  return detail ?? null;
}
