import type { OnProgress, Recording, Upload } from '../requests/recordings';
import { messageOf } from '../requests/rest';

type Send = (file: File, person: string | null, onProgress: OnProgress) => Upload;

/** A file that waits, is sent, is a recording, or has failed. */
export class QueuedUpload {
  state = $state<'waiting' | 'sending' | 'done' | 'failed'>('waiting');
  /** Share that has been sent, 0 to 1. */
  share = $state(0);
  recording = $state.raw<Recording | null>(null);
  problem = $state<string | null>(null);

  constructor(
    readonly id: number,
    readonly file: File,
    readonly person: string | null,
  ) {}
}

/** Files that are uploaded one after the other; an error of one does not stop the others. */
export class UploadQueue {
  items = $state.raw<QueuedUpload[]>([]);
  /** Number of files that have become recordings. */
  stored = $state(0);
  private running: { item: QueuedUpload; upload: Upload } | null = null;
  private count = 0;

  constructor(private readonly upload: Send) {}

  /** Number of files that are not done yet. */
  get left(): number {
    return this.items.filter(({ state }) => state === 'waiting' || state === 'sending').length;
  }

  /** Append files; those of before are forgotten if all are done. */
  add(files: readonly File[], person: string | null): void {
    const before = this.left ? this.items : [];
    this.items = [...before, ...files.map((file) => new QueuedUpload(this.count++, file, person))];
    void this.work();
  }

  retry(item: QueuedUpload): void {
    [item.state, item.share, item.problem] = ['waiting', 0, null];
    void this.work();
  }

  cancel(item: QueuedUpload): void {
    if (this.running?.item === item) this.running.upload.cancel();
    else if (item.state === 'waiting')
      [item.state, item.problem] = ['failed', 'the upload was cancelled'];
  }

  cancelAll(): void {
    // The one that is being sent comes last, or the next would begin.
    for (const item of [...this.items].reverse()) this.cancel(item);
  }

  private async work(): Promise<void> {
    if (this.running) return;
    const item = this.items.find(({ state }) => state === 'waiting');
    if (!item) return;
    item.state = 'sending';
    const upload = this.upload(item.file, item.person, (share) => (item.share = share));
    this.running = { item, upload };
    try {
      item.recording = await upload.done;
      item.state = 'done';
      this.stored += 1;
    } catch (error) {
      [item.state, item.problem] = ['failed', messageOf(error)];
    }
    this.running = null;
    void this.work();
  }
}
