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
