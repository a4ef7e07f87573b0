/** Keeping recording and device in step: far enough ahead that neither waits much, near enough to stop and to report. */
import type { Gpu } from "../gpu/device.ts";

/** Device time between two waits. A wait costs about 11 ms under Deno. */
const wantedSeconds = 0.5;
/** Submits between two waits, so that the device works while the host records. */
const submits = 8;

/** Submits and waits after so much work that the device is busy for about half a second. */
export class Pace {
  #limit = 1e8;
  #recorded = 0;
  #submitted = 0;
  #since = performance.now();

  /** @param signal ends the work */
  constructor(readonly gpu: Gpu, readonly signal: AbortSignal) {}

  /**
   * To be called after work was recorded.
   *
   * @param macs the work
   * @returns whether the device has finished all of it
   * @throws the signal's reason, when it is aborted; long work that was not submitted is dropped
   */
  async after(macs: number): Promise<boolean> {
    this.#recorded += macs;
    if (this.signal.aborted) {
      // What takes no half second is worth keeping.
      if (this.#recorded > this.#limit) this.gpu.stream.discard();
      throw this.signal.reason;
    }
    if (this.#recorded < this.#limit) {
      if (this.#recorded - this.#submitted > this.#limit / submits) {
        await this.gpu.stream.flush();
        this.#submitted = this.#recorded;
      }
      return false;
    }
    await this.gpu.finish();
    const now = performance.now();
    const factor = wantedSeconds / Math.max(1e-6, (now - this.#since) / 1000);
    this.#limit *= Math.min(4, Math.max(0.25, factor));
    this.#recorded = this.#submitted = 0;
    this.#since = now;
    return true;
  }
}
