import { request } from './rest';

/** What a service that can predict says of itself. */
export interface Readiness {
  /** The reason why it cannot record, or null. */
  problem: string | null;
  /** True if workers elsewhere compute its sessions. */
  gateway: boolean;
}

/** Ask a service; throws ServiceUnavailable where it cannot predict. */
export async function readiness(): Promise<Readiness> {
  const { detail, gateway } = await request<{ detail?: string; gateway?: boolean }>(
    'GET',
    '/readyz',
  );
  return { problem: detail ?? null, gateway: gateway ?? false };
}
