/**
 * A mistake in what the user asked for: an unknown plan, a malformed file, a number out of range.
 * Tasks print its message as one line and exit with status 2.
 */
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

/**
 * The engine itself is gone, as when Docker's daemon has ended: no further run can be made, and the
 * one that it was lost in is no result.
 */
export class EngineLostError extends PoolscopeError {
  override name = "EngineLostError";
}

/**
 * What a study is made of has changed since it was begun, so that a further run would be compared
 * with runs of something else. The user decides: undo the change, or begin another study.
 */
export class InputsChangedError extends UsageError {
  override name = "InputsChangedError";

  /**
   * @param study The study's name.
   * @param differing What differs, with both values or the file's name.
   */
  constructor(study: string, differing: string) {
    super(
      `Cannot continue ${study}: its runs and this start differ in ${differing}, and such runs are never compared with each other; undo the change, or begin another study (--study NAME)`,
    );
  }
}

/**
 * A file of a study that cannot be trusted. Its one-line message names the file and, if known, the
 * line; it may reach a report that is sent to colleagues, so it must not show where the checkout
 * lies: only the last four parts of the path are kept.
 */
export class FileError extends PoolscopeError {
  override name = "FileError";
  /** The file: study, scenario, round and name. */
  readonly file: string;
  /** The line, from 1; null when the fault is the whole file's. */
  readonly line: number | null;
  /** What is wrong with it. */
  readonly what: string;

  /**
   * @param file The file's path.
   * @param line The line, from 1, or null.
   * @param what What is wrong with it.
   * @param options The error that told of it, as its cause.
   */
  constructor(file: string, line: number | null, what: string, options?: ErrorOptions) {
    const name = file.split("/").slice(-4).join("/");
    super(`Cannot read ${name}${line === null ? "" : `, line ${line}`}: ${what}`, options);
    this.file = name;
    this.line = line;
    this.what = what;
  }
}

/** A file that another version of Poolscope wrote; nothing is wrong with it. */
export class SchemaVersionError extends FileError {
  override name = "SchemaVersionError";
}
