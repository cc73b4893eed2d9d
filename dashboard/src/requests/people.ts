import type { Person } from './catalog';
import { fetchBlob, request } from './rest';

export const SEXES = ['female', 'male', 'other'] as const;
export type Sex = (typeof SEXES)[number];

/** Answer to a text that asks for consent; `date` is a day, ISO 8601. */
export interface Consent {
  given: boolean;
  date: string;
  version: string | null;
}

/** A notice about inferred emotion that was seen and acknowledged; `date` is ISO 8601. */
export interface SeenNotice {
  outputs: Record<string, string[]>;
  date: string;
}

export interface PersonRecord extends Person {
  age: number | null;
  sex: Sex | null;
  consent: Consent | null;
  acknowledgements: SeenNotice[];
}

/** Facts to change; those that are absent stay, and null removes one. */
export type PersonFacts = Partial<Pick<PersonRecord, 'notes' | 'age' | 'sex' | 'consent'>>;

/** Requests about people. They throw an Error with the service's error detail. */
export interface PeopleApi {
  list(): Promise<PersonRecord[]>;
  read(person: string): Promise<PersonRecord>;
  /** Change facts; adds the person if new. */
  change(person: string, facts: PersonFacts): Promise<PersonRecord>;
  /** Keep with a person, added if new, that they have seen a notice about these outputs. */
  acknowledge(
    person: string,
    model: string,
    outputs: Record<string, string[]>,
  ): Promise<PersonRecord>;
  /** Delete a person with all recordings. */
  remove(person: string): Promise<void>;
  /** All that is stored about a person, one ZIP archive. */
  export(person: string): Promise<Blob>;
}

const pathOf = (person: string): string => `/v1/people/${encodeURIComponent(person)}`;

export const peopleApi: PeopleApi = {
  list: () => request('GET', '/v1/people'),
  read: (person) => request('GET', pathOf(person)),
  change: (person, facts) => request('PUT', pathOf(person), facts),
  acknowledge: (person, model, outputs) =>
    request('POST', `${pathOf(person)}/acknowledgements`, { model, outputs }),
  remove: async (person) => {
    await request('DELETE', `${pathOf(person)}?confirm=${encodeURIComponent(person)}`);
  },
  export: (person) => fetchBlob(`${pathOf(person)}/export`),
};
