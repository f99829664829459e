/** A mistake in what the user asked for: tasks print its one line and exit with status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/**
 * Something that was asked for properly and could not be done. Its message is one line: action,
 * value, state, next step. Tasks print it and exit with status 1.
 */
export class PoolscopeError extends Error {
  override name = "PoolscopeError";
}

/** The engine itself is gone, as when Docker's daemon has ended: no further run can be made. */
export class EngineLostError extends PoolscopeError {
  override name = "EngineLostError";
}

/** What a study is made of has changed since it was begun; the user decides what to do about it. */
export class InputsChangedError extends UsageError {
  override name = "InputsChangedError";

  /** @param differing What differs, with both values or the file's name. */
  constructor(study: string, differing: string) {
    super(
      `Cannot continue ${study}: its runs and this start differ in ${differing}, and such runs are never compared with each other; undo the change, or begin another study (--study NAME)`,
    );
  }
}

/**
 * A file of a study that cannot be trusted. A report with its message may be sent to colleagues, so
 * only the last four parts of the path are kept: study, scenario, round and name.
 */
export class FileError extends PoolscopeError {
  override name = "FileError";
  /** The file: study, scenario, round and name. */
  readonly file: string;

  /**
   * @param file The file's path.
   * @param line The line, from 1; null when the fault is the whole file's.
   * @param what What is wrong with it.
   * @param options The error that told of it, as its cause.
   */
  constructor(
    file: string,
    readonly line: number | null,
    readonly what: string,
    options?: ErrorOptions,
  ) {
    const name = file.split("/").slice(-4).join("/");
    super(`Cannot read ${name}${line === null ? "" : `, line ${line}`}: ${what}`, options);
    this.file = name;
  }
}

/** A file that another version of Poolscope wrote; nothing is wrong with it. */
export class SchemaVersionError extends FileError {
  override name = "SchemaVersionError";
}

/** The first line of an error's message. */
export function firstLine(error: unknown): string {
  return (error as Error).message.split("\n")[0]!;
}
