import type { PeopleApi, SeenNotice } from '../requests/people';
import { messageOf } from '../requests/rest';
import type { LabelStorage } from './marker_labels';
import { keepHere, seenHere } from './seen_notices';
import type { Session, SessionSnapshot } from './session.svelte';

/** Name under which a person's own output is acknowledged. */
const OWN = 'your own output';

type Outputs = Record<string, string[]>;

/** Outputs of a session, with their labels, if one of them infers emotion; else null. */
export function emotionOutputs({ model, outputs, head }: SessionSnapshot): Outputs | null {
  const own = head && (head.contrast !== 'own' || head.dimension !== null) ? head.kinds : null;
  if (!model?.emotion && !own) return null;
  return { ...(model?.emotion ? outputs : {}), ...(own ? { [OWN]: [...own] } : {}) };
}

/** The same text for the same outputs, in any order. */
const keyOf = (outputs: Outputs): string => JSON.stringify(Object.entries(outputs).sort());

/**
 * The notice that a wearer sees before outputs that infer emotion.
 *
 * It is seen once for the same outputs. That is kept with the person, or for nobody in particular,
 * and where the page may not change anything, in this browser.
 */
export class EmotionNotice {
  /** Why the acknowledgement could not be kept with the person, or null. */
  problem: string | null = $state.raw(null);
  /** Notices that this person has seen; null until they are known. */
  private seen: readonly SeenNotice[] | null = $state.raw(null);
  private readonly outputsKey = $derived.by(() => {
    const outputs = emotionOutputs(this.session.snapshot);
    return outputs && keyOf(outputs);
  });
  readonly person = $derived.by(() => this.session.snapshot.person);
  readonly model = $derived.by(() => this.session.snapshot.model?.name ?? null);
  /** What is inferred; empty for nothing. */
  readonly outputs: Outputs = $derived.by(() =>
    this.outputsKey === null ? {} : (emotionOutputs(this.session.snapshot) ?? {}),
  );
  /** `none`: nothing infers emotion. `unknown`: the service was not asked yet. */
  readonly state: 'none' | 'unknown' | 'due' | 'seen' = $derived.by(() => {
    if (this.outputsKey === null) return 'none';
    if (this.seen === null) return 'unknown';
    return this.seenAt === null ? 'due' : 'seen';
  });
  /** Date of the acknowledgement, ISO 8601; null without one. */
  readonly seenAt = $derived.by(
    () => this.seen?.find(({ outputs }) => keyOf(outputs) === this.outputsKey)?.date ?? null,
  );

  constructor(
    private readonly session: Session,
    private readonly api: PeopleApi,
    readonly keepsWithPerson: boolean,
    private readonly storage: LabelStorage,
  ) {}

  /** True if outputs may be shown. */
  get shown(): boolean {
    return this.state === 'none' || this.state === 'seen';
  }

  /** Load what the person has seen; to be called in an effect. */
  follow(): void {
    if (this.outputsKey !== null) void this.load(this.person);
  }

  private async load(person: string | null): Promise<void> {
    [this.seen, this.problem] = [null, null];
    const kept = person === null ? [] : await this.keptWith(person);
    if (person === this.person) this.seen = [...seenHere(this.storage, person), ...kept];
  }

  /** Nothing for a person who is not stored, or whose file cannot be read: the notice comes again. */
  private async keptWith(person: string): Promise<SeenNotice[]> {
    try {
      return (await this.api.read(person)).acknowledgements;
    } catch {
      return [];
    }
  }

  /** The wearer has read the notice. */
  async acknowledge(): Promise<void> {
    const { person, outputs } = this;
    const seen = { outputs, date: new Date().toISOString() };
    if (person !== null && this.keepsWithPerson)
      try {
        await this.api.acknowledge(person, this.model ?? OWN, outputs);
      } catch (error) {
        this.problem = `not kept with ${person}, but in this browser: ${messageOf(error)}`;
        keepHere(this.storage, person, seen);
      }
    else keepHere(this.storage, person, seen);
    if (person === this.person) this.seen = [...(this.seen ?? []), seen];
  }
}
