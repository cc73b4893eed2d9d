/** The study that is edited in this tab: it outlives a look at another view. */
import type { Protocol, ReadProtocol } from '../requests/studies';
import { type Draft, draftOf, protocolOf } from './draft';

export class Editing {
  draft: Draft | null = $state(null);
  /** The study that was opened, with its version; null for a new one. */
  opened: { name: string; version: string } | null = $state.raw(null);
  /** True while the draft is checked or saved: it stays as it is, also after a look at another view. */
  busy = $state(false);
  private before = '';

  /** Edit a draft of a study that was read, or of a new one. */
  open(draft: Draft, opened: { name: string; version: string } | null = null): void {
    this.draft = draft;
    this.opened = opened;
    this.before = this.content;
  }

  /** Edit a copy, which would be lost even as it is. */
  openCopy(name: string, protocol: Protocol): void {
    this.open(draftOf(name, protocol));
    this.before = '';
  }

  /** Edit a study that was read. */
  openRead({ name, version, protocol }: ReadProtocol): void {
    this.open(draftOf(name, protocol), { name, version });
  }

  close(): void {
    this.draft = null;
  }

  /** True while something would be lost. */
  get changed(): boolean {
    return this.draft !== null && this.content !== this.before;
  }

  private get content(): string {
    if (this.draft === null) return '';
    // The protocol leaves out feedback that no step gives now.
    const { name, feedback } = this.draft;
    return JSON.stringify([name, protocolOf(this.draft), feedback]);
  }
}

export const editing = new Editing();
