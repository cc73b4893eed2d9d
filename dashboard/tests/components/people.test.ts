// @vitest-environment happy-dom
import { describe, expect, it } from 'vitest';
import People from '../../src/components/people/People.svelte';
import type { PeopleApi, PersonFacts, PersonRecord } from '../../src/requests/people';
import { click, enter, render, settled, text, there } from '../dom';

const record: PersonRecord = {
  ...{ person: 'P01', notes: 'left-handed', recordings: ['day1', 'day2'], damaged: null },
  ...{ baselines: [], age: 34, sex: 'female', acknowledgements: [] },
  consent: { given: true, date: '2026-03-02', version: '2.1' },
};

function apiOf(people: PersonRecord[], sent: unknown[], failure?: string): PeopleApi {
  return {
    list: () => Promise.resolve(people),
    change: (person: string, facts: PersonFacts) => {
      sent.push([person, facts]);
      return failure ? Promise.reject(new Error(failure)) : Promise.resolve(record);
    },
    remove: (person: string) => Promise.resolve(void sent.push(`delete ${person}`)),
  } as PeopleApi;
}

async function show(people: PersonRecord[], sent: unknown[], mayControl = true): Promise<void> {
  render(People, { peopleApi: apiOf(people, sent), mayControl, close: () => undefined });
  await settled();
}

const submit = async (): Promise<void> => {
  for (const form of document.querySelectorAll('form'))
    form.dispatchEvent(new SubmitEvent('submit', { cancelable: true }));
  await settled();
};

describe('People', () => {
  it('shows facts, and deletes after a confirmation', async () => {
    const sent: unknown[] = [];
    await show([record], sent);
    expect(text('person-P01')).toContain(
      'Age 34Sex femaleConsent yes, 2026-03-02, text 2.1Recordings day1, day2Notes left-handed',
    );
    await click('delete-person');
    expect(text('person-P01')).toContain('2 recordings, permanently?');
    expect(sent).toEqual([]);
    await click('delete-confirm');
    expect(sent).toEqual(['delete P01']);
  });

  it('adds people with a valid pseudonym only', async () => {
    const sent: unknown[] = [];
    await show([], sent);
    expect(there('no-people')).toBe(true);
    enter('new-person', 'Ada Lovelace');
    await submit();
    expect(text('people-problem')).toContain('P01');
    enter('new-person', ' P02 ');
    await submit();
    expect(sent).toEqual([['P02', { notes: null }]]);
  });

  it('changes nothing with permission to view only', async () => {
    await show([record], [], false);
    expect(['new-person', 'edit-person', 'delete-person'].filter(there)).toEqual([]);
    expect(there('export-person')).toBe(true);
  });
});
