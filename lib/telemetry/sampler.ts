/**
 * Time series of a run, written while the load runs: a reading per second, and one right at the
 * measurement window's begin and end. The connections are opened before the load, so that a
 * database that refuses clients is still seen.
 */

import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type postgres from "postgres";
import { APP_USER } from "../services/database.ts";
import type { RunServices } from "../engine/run_services.ts";
import { PoolscopeError } from "../errors.ts";
import { answerWithin } from "../hosts/wait.ts";
import {
  APP_COLUMNS,
  PGBOUNCER_COLUMNS,
  POSTGRES_COLUMNS,
  RESOURCE_COLUMNS,
  STATEMENT_COLUMNS,
} from "../store/layout.ts";
import { openConsole, readLastClient, samplePgbouncer } from "./pgbouncer.ts";
import { clockOffsetUs, openReader, openServer, type PostgresReader } from "./postgres.ts";
import { csvLines, type Row, usageRows } from "./rows.ts";
import { nowUs, type Reading, SampleLoop } from "./sample_loop.ts";

/** How long the last readings may take, after which the connections are closed all the same. */
const LAST_READING_MS = 3000;
/** How long any answer may take: one that the driver forgot, as a connection broke, never comes. */
const ANSWER_WITHIN_S = 10;

const FILES = {
  "resources.csv": RESOURCE_COLUMNS as readonly string[],
  "postgres.csv": POSTGRES_COLUMNS as readonly string[],
  "pgbouncer.csv": PGBOUNCER_COLUMNS as readonly string[],
  "statements.csv": STATEMENT_COLUMNS as readonly string[],
  "app.csv": APP_COLUMNS as readonly string[],
};

type SampleFile = keyof typeof FILES;

/** Samples until it is disposed. */
export class Sampler implements AsyncDisposable {
  readonly #database: postgres.Sql;
  readonly #console: postgres.Sql | null;
  #postgres: PostgresReader | null = null;
  /** How far the clock of the services' machine is ahead of ours. */
  #offsetUs = 0;
  #loops: SampleLoop[] = [];
  readonly #files = new Map<SampleFile, number>();

  private constructor(private readonly services: RunServices, readonly folder: string) {
    this.#database = openServer(services.postgres);
    this.#console = services.pgbouncer && openConsole(services.pgbouncer);
  }

  /**
   * Connects, writes the headers and the first readings, and begins to sample.
   *
   * @param intervalMs Time between two readings. @default 1000
   * @throws {PoolscopeError} If a service does not answer.
   */
  static async start(services: RunServices, folder: string, intervalMs = 1000): Promise<Sampler> {
    const sampler = new Sampler(services, folder);
    try {
      for (const [file, columns] of Object.entries(FILES)) {
        const handle = openSync(join(folder, file), "w");
        sampler.#files.set(file as SampleFile, handle);
        writeFileSync(handle, columns.join(",") + "\n");
      }
      const reader = await openReader(sampler.#database, services.postgres.database, APP_USER);
      sampler.#postgres = reader;
      sampler.#offsetUs = await clockOffsetUs(reader);
      // Each by itself: a server that hangs must not keep the others from being seen.
      const readings: Reading[] = [
        () => sampler.#readResources(),
        () => sampler.#readApp(),
        (asked) => sampler.#readPostgres(asked),
      ];
      if (sampler.#console !== null) readings.push((asked) => sampler.#readPgbouncer(asked));
      await Promise.all(readings.map((read) => read(true)));
      sampler.#loops = readings.map((read) => new SampleLoop(read, intervalMs));
    } catch (error) {
      await sampler.#disconnect();
      sampler.#closeFiles();
      throw new PoolscopeError(`Cannot begin to sample: ${(error as Error).message}`, {
        cause: error,
      });
    }
    return sampler;
  }

  /**
   * Asks for a reading at the measurement window's begin and end.
   *
   * @param window In Unix time, microseconds, by the clock of the load generator.
   */
  expectWindow(window: { startUs: number; endUs: number }): void {
    const times = [window.startUs, window.endUs].map((timeUs) => timeUs - this.#offsetUs);
    for (const loop of this.#loops) loop.at(times);
  }

  /** Leaves readings out from now on, or takes them again. */
  pause(paused: boolean): void {
    for (const loop of this.#loops) loop.pause(paused);
  }

  #write(file: SampleFile, rows: readonly Row[]): void {
    const handle = this.#files.get(file);
    if (handle === undefined) return; // it was asked before the end and answered after it
    writeFileSync(handle, csvLines(FILES[file], rows));
  }

  /** The time of a reading that was asked for at a time and is answered now. */
  #timeOf(sentUs: number): number {
    return Math.round((sentUs + nowUs()) / 2) + this.#offsetUs;
  }

  async #readResources(): Promise<void> {
    const time_us = nowUs() + this.#offsetUs;
    this.#write("resources.csv", usageRows(time_us, await this.services.usage()));
  }

  async #readApp(): Promise<void> {
    const sent = nowUs();
    const workers = await this.services.appTimings();
    const time_us = this.#timeOf(sent);
    this.#write(
      "app.csv",
      workers.map((timings) => ({
        time_us,
        worker: timings.worker,
        requests: timings.requests,
        handler_us: timings.handlerUs,
        pool_wait_us: timings.poolWaitUs,
        connect_us: timings.connectUs,
        connections: timings.connections,
        database_us: timings.databaseUs,
      })),
    );
  }

  async #readPostgres(asked: boolean): Promise<void> {
    const row = await answer(this.#postgres!.read());
    if (row !== null) this.#write("postgres.csv", [row]);
    const statements = asked ? await answer(this.#postgres!.readStatements()) : null;
    if (statements !== null) this.#write("statements.csv", statements);
  }

  async #readPgbouncer(asked: boolean): Promise<void> {
    const { pgbouncer, postgres } = this.services;
    const sent = nowUs();
    const [values, last_client_id] = await Promise.all([
      answer(samplePgbouncer(this.#console!, postgres.database)),
      asked ? answer(readLastClient(pgbouncer!)) : null,
    ]);
    const time_us = this.#timeOf(sent);
    if (values !== null) this.#write("pgbouncer.csv", [{ time_us, ...values, last_client_id }]);
  }

  /**
   * Takes the last readings and disconnects.
   *
   * @throws {PoolscopeError} If a file could not be written, or Docker did not tell what it was asked.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new AbortController();
    const last = Promise.allSettled(this.#loops.map((loop) => loop.stop()));
    const late = sleep(LAST_READING_MS, null, { signal: ended.signal }).catch(() => null);
    await Promise.race([last, late]);
    ended.abort();
    // A server that hangs answers when its connections are closed, by an error.
    await this.#disconnect();
    const failed = (await last).find((end) => end.status === "rejected");
    this.#closeFiles();
    if (failed !== undefined) {
      throw new PoolscopeError(`Cannot sample: ${(failed.reason as Error).message}`);
    }
  }

  #closeFiles(): void {
    for (const handle of this.#files.values()) closeSync(handle);
    this.#files.clear();
  }

  async #disconnect(): Promise<void> {
    await Promise.all([
      this.#database.end({ timeout: 1 }),
      this.#console?.end({ timeout: 1 }),
    ]);
  }
}

/** An answer in time, or null: a dead server is the run's finding, not the sampler's. */
async function answer<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await answerWithin(ANSWER_WITHIN_S, "The server", asked);
  } catch {
    return null;
  }
}
