/**
 * Time series of a run, written while the load runs: a reading per second, and one right at the
 * measurement window's begin and end. The connections are opened before the load, so that a
 * database that refuses clients is still seen.
 *
 * @module
 */

import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type postgres from "postgres";
import { APP_USER } from "../engine/database.ts";
import type { RunServices } from "../engine/engine.ts";
import { PoolscopeError } from "../errors.ts";
import {
  APP_COLUMNS,
  PGBOUNCER_COLUMNS,
  POSTGRES_COLUMNS,
  RESOURCE_COLUMNS,
  STATEMENT_COLUMNS,
} from "../store/layout.ts";
import { openConsole, readLastClient, samplePgbouncer } from "./pgbouncer.ts";
import { openServer, PostgresReader, type Row } from "./postgres.ts";
import { nowUs, type Reading, SampleLoop } from "./sample_loop.ts";

/** How long the last readings may take, after which the connections are closed all the same. */
const LAST_READING_MS = 3000;

/** Options of {@linkcode Sampler.start}. */
export interface SamplerOptions {
  /** Time between two readings in milliseconds. @default 1000 */
  intervalMs?: number;
}

/** Samples until it is disposed. */
export class Sampler implements AsyncDisposable {
  #services: RunServices;
  /** The run's folder. */
  readonly folder: string;
  #database: postgres.Sql;
  #console: postgres.Sql | null;
  #postgres: PostgresReader | null = null;
  /** How far the clock of the services' machine is ahead of ours. */
  #offsetUs = 0;
  #loops: SampleLoop[] = [];
  /** The files, open while it samples. */
  #files = new Map<keyof typeof FILES, number>();

  private constructor(services: RunServices, folder: string) {
    this.#services = services;
    this.folder = folder;
    this.#database = openServer(services.postgres);
    this.#console = services.pgbouncer && openConsole(services.pgbouncer);
  }

  /**
   * Connects, writes the headers and the first readings, and begins to sample.
   *
   * @param services The run's services.
   * @param folder The run's folder.
   * @throws {PoolscopeError} If a service does not answer.
   */
  static async start(
    services: RunServices,
    folder: string,
    options: SamplerOptions = {},
  ): Promise<Sampler> {
    const { intervalMs = 1000 } = options;
    const sampler = new Sampler(services, folder);
    try {
      for (const file of Object.keys(FILES) as (keyof typeof FILES)[]) {
        const handle = openSync(join(folder, file), "w");
        sampler.#files.set(file, handle);
        writeFileSync(handle, FILES[file].join(",") + "\n");
      }
      const { database } = services.postgres;
      const reader = await PostgresReader.open(sampler.#database, database, APP_USER);
      sampler.#postgres = reader;
      sampler.#offsetUs = await reader.clockOffsetUs(nowUs);
      const readings = sampler.#readings();
      await Promise.all(readings.map((read) => read(true)));
      sampler.#loops = readings.map((read) => new SampleLoop(read, intervalMs));
    } catch (error) {
      await sampler.#disconnect();
      sampler.#close();
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

  /** What to read, each by itself: a server that hangs must not keep the others from being seen. */
  #readings(): Reading[] {
    const own: Reading[] = [
      () => this.#readResources(),
      () => this.#readApp(),
      (asked) => this.#readPostgres(asked),
    ];
    return this.#console === null ? own : [...own, (asked) => this.#samplePgbouncer(asked)];
  }

  #write(file: keyof typeof FILES, rows: Row[]): void {
    const handle = this.#files.get(file);
    if (handle === undefined) return; // it was asked before the end and answered after it
    const lines = rows.map((row) =>
      FILES[file].map((column) => field(row[column])).join(",") + "\n"
    );
    writeFileSync(handle, lines.join(""));
  }

  async #readResources(): Promise<void> {
    const time_us = nowUs() + this.#offsetUs;
    const usages = await this.#services.usage();
    this.#write(
      "resources.csv",
      usages.map((usage) => ({
        time_us,
        service: usage.service,
        cpu_s: usage.cpuS.toFixed(6),
        throttled_s: usage.throttledS.toFixed(6),
        memory_mib: usage.memoryMiB.toFixed(2),
        processes: usage.processes,
        context_switches: usage.contextSwitches,
      })),
    );
  }

  async #readApp(): Promise<void> {
    const sent = nowUs();
    const workers = await this.#services.appTimings();
    const time_us = Math.round((sent + nowUs()) / 2) + this.#offsetUs;
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

  async #samplePgbouncer(asked: boolean): Promise<void> {
    const { pgbouncer, postgres } = this.#services;
    const sent = nowUs();
    const [values, last_client_id] = await Promise.all([
      answer(samplePgbouncer(this.#console!, postgres.database)),
      asked ? answer(readLastClient(pgbouncer!)) : null,
    ]);
    const time_us = Math.round((sent + nowUs()) / 2) + this.#offsetUs;
    if (values !== null) this.#write("pgbouncer.csv", [{ time_us, ...values, last_client_id }]);
  }

  /**
   * Takes the last readings and disconnects.
   *
   * @throws {PoolscopeError} If a file could not be written, or Docker did not tell what it was asked.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    // A server that hangs answers when its connections are closed, by an error.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), LAST_READING_MS);
    });
    const readings = this.#readings();
    const last = Promise.allSettled(this.#loops.map(async (loop, i) => {
      await loop.stop();
      await readings[i]!(true);
    }));
    const ends = await Promise.race([last, late]);
    clearTimeout(timer);
    await this.#disconnect();
    const settled = ends ?? await last;
    this.#close();
    const failed = settled.find((end) => end.status === "rejected");
    if (failed !== undefined) {
      throw new PoolscopeError(`Cannot sample: ${(failed.reason as Error).message}`);
    }
  }

  #close(): void {
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

const FILES = {
  "resources.csv": RESOURCE_COLUMNS as readonly string[],
  "postgres.csv": POSTGRES_COLUMNS as readonly string[],
  "pgbouncer.csv": PGBOUNCER_COLUMNS as readonly string[],
  "statements.csv": STATEMENT_COLUMNS as readonly string[],
  "app.csv": APP_COLUMNS as readonly string[],
};

/** A value as a field of a CSV file. */
function field(value: string | number | null | undefined): string {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** An answer, or null: a dead server is the run's finding, not the sampler's. */
async function answer<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch {
    return null;
  }
}
