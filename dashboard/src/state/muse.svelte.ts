import type { MuseSession, MuseStatus } from '../muse/muse_session';
import { bluetoothObstacle, surroundings } from '../muse/web_bluetooth';
import { messageOf } from '../requests/rest';

type Module = typeof import('../muse/muse_session');

/** The Muse that this page reads by the browser's Bluetooth. */
export class MuseLink {
  /** Null if there is none. */
  status: MuseStatus | null = $state.raw(null);
  /** Why the last attempt to connect failed, or null. */
  problem: string | null = $state.raw(null);
  /** True from the click until the headset is connected. */
  connecting = $state(false);
  /** What to use instead where the browser has no Bluetooth; null if it has. */
  readonly obstacle: string | null;
  private session: MuseSession | null = null;
  private module: Promise<Module> | null = null;

  constructor(
    private readonly streamUrl: string,
    private readonly around = surroundings(),
  ) {
    this.obstacle = bluetoothObstacle(around);
  }

  /** True while a headset is read. */
  get active(): boolean {
    return this.status !== null && this.status.phase !== 'over';
  }

  /** Load what a connection needs: after a click it would be late for the browser's dialog. */
  prepare(): Promise<Module> {
    this.module ??= import('../muse/muse_session');
    return this.module;
  }

  /**
   * Let the person choose a headset, and send it to the service. `opened` is called with the session.
   * `model`: a model's name, `none`, or null for the service's default. `person`: a pseudonym, or null.
   */
  async connect(
    model: string | null,
    person: string | null,
    opened: (session: string) => void,
  ): Promise<void> {
    const { bluetooth } = this.around;
    if (!bluetooth || this.connecting || this.active) return;
    this.connecting = true;
    [this.problem, this.status] = [null, null];
    let known: string | null = null;
    const onStatus = (status: MuseStatus): void => {
      this.status = status;
      if (status.session !== null && status.session !== known) opened(status.session);
      known = status.session;
    };
    try {
      const { connectMuse } = await this.prepare();
      const { streamUrl } = this;
      this.session = await connectMuse({ bluetooth, streamUrl, model, person, onStatus });
    } catch (error) {
      [this.problem, this.status] = [messageOf(error), null];
    }
    this.connecting = false;
  }

  async disconnect(): Promise<void> {
    await this.session?.stop();
    [this.session, this.status] = [null, null];
  }

  /** Forget the end of the last one, once the person has read it. */
  dismiss(): void {
    if (!this.active) this.status = null;
  }
}
