import { request } from './rest';

/** A process that computes sessions for gateways. */
export interface Worker {
  worker: string;
  host: string;
  sessions: string[];
  capacity: number;
  /** Share of one processor core that it uses, 0 to 1; more with several threads. */
  cpu: number;
  shards: number;
  /** Shards that it took over from workers that were gone. */
  taken: number;
  /** Shards that it gave to other workers. */
  given: number;
}

/** The workers that are alive; throws an Error with the service's error detail. */
export const listWorkers = (): Promise<Worker[]> => request('GET', '/v1/workers');
