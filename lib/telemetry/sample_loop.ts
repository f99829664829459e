/**
 * Readings at regular times, one at a time: a source that is slow to answer must not pile them up.
 */

/** Unix time in microseconds, by a clock whose differences are monotonic. */
export function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/** Takes one reading; `asked` is true of those that were asked for by their time. */
export type Reading = (asked: boolean) => Promise<void>;

/** Takes readings until it is stopped. */
export class SampleLoop {
  #extraUs: number[] = [];
  #lastUs = nowUs();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pending: Promise<void> = Promise.resolve();
  #reading = false;
  #paused = false;
  #ended = false;
  #failure: unknown = null;

  /**
   * Begins; the first reading is due after one interval.
   *
   * @param read Takes one reading. An error ends the loop, and is thrown when it is stopped.
   * @param intervalMs Time from one reading's being due to the next.
   */
  constructor(private readonly read: Reading, private readonly intervalMs: number) {
    this.#schedule();
  }

  /** Adds times at which a reading is due as well, in place of those added before. */
  at(timesUs: number[]): void {
    this.#extraUs = timesUs.filter((timeUs) => timeUs > this.#lastUs);
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#ended || this.#paused || this.#reading) return;
    const dueUs = Math.min(this.#lastUs + this.intervalMs * 1000, ...this.#extraUs);
    // A millisecond late at the least: never before the time that it is due at.
    const waitMs = Math.max(0, (dueUs - nowUs()) / 1000 + 1);
    this.#timer = setTimeout(() => this.#pending = this.#take(dueUs), waitMs);
  }

  async #take(dueUs: number): Promise<void> {
    this.#reading = true;
    const asked = this.#extraUs.includes(dueUs);
    this.#extraUs = this.#extraUs.filter((timeUs) => timeUs > dueUs);
    try {
      await this.read(asked);
    } catch (error) {
      this.#ended = true;
      this.#failure = error;
    }
    this.#reading = false;
    // Readings that were due meanwhile are left out, but for those that were asked for.
    const intervalUs = this.intervalMs * 1000;
    const behind = Math.floor((nowUs() - dueUs) / intervalUs);
    this.#lastUs = dueUs + Math.max(0, behind) * intervalUs;
    this.#schedule();
  }

  /** Leaves readings out from now on, or takes them again, the next after one interval. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#lastUs = nowUs();
    this.#schedule();
  }

  /**
   * Waits for a reading that is being taken, takes a last one and ends.
   *
   * @throws What a reading threw.
   */
  async stop(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#pending;
    if (this.#failure !== null) throw this.#failure;
    await this.read(true);
  }
}
