import { type Recording, type RecordingApi, recordingSeconds } from '../requests/recordings';
import { messageOf } from '../requests/rest';
import type { Session } from './session.svelte';

const TICK_MS = 1000;

/** Recording of one session: the running one, or the last. */
export class SessionRecorder {
  recording = $state.raw<Recording | null>(null);
  problem = $state<string | null>(null);
  pending = $state(false);
  private now = $state(Date.now());

  constructor(
    private readonly session: Session,
    private readonly api: RecordingApi,
  ) {}

  get running(): boolean {
    return this.recording?.state === 'recording';
  }

  /** Seconds recorded, or null. */
  get elapsed(): number | null {
    return this.recording ? recordingSeconds(this.recording, this.now) : null;
  }

  /** False while the session opens, and after its end. */
  get possible(): boolean {
    const { ended, opening } = this.session.snapshot;
    return !this.pending && !ended && !opening;
  }

  /** Find the running recording, whoever started it, and follow it; returns a function that stops. */
  follow(): () => void {
    void this.settle(this.findRunning());
    const timer = setInterval(() => void this.tick(), TICK_MS);
    return () => clearInterval(timer);
  }

  /** Start a recording; resolves to false if that failed. */
  async start(title: string | null): Promise<boolean> {
    await this.settle(this.api.start(this.session.id, title));
    return this.problem === null;
  }

  async stop(): Promise<void> {
    if (this.recording) await this.settle(this.api.stop(this.recording.name));
  }

  private async findRunning(): Promise<Recording | null> {
    const { id } = this.session;
    const list = await this.api.list();
    return list.find((each) => each.state === 'recording' && each.session === id) ?? null;
  }

  /** Update the state: a recording may stop by itself. */
  private async tick(): Promise<void> {
    this.now = Date.now();
    const { recording, running, pending } = this;
    if (!recording || !running || pending || document.hidden) return;
    try {
      const updated = await this.api.read(recording.name);
      if (!this.pending) this.recording = updated;
    } catch {
      // the header shows if the service is gone
    }
  }

  private async settle(request: Promise<Recording | null>): Promise<void> {
    this.pending = true;
    try {
      this.recording = await request;
      this.session.setRecording(this.running ? (this.recording?.name ?? null) : null);
      [this.problem, this.now] = [null, Date.now()];
    } catch (error) {
      this.problem = messageOf(error);
    }
    this.pending = false;
  }
}
