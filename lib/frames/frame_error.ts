import { FileError } from "../errors.ts";

/** A CSV file of a run that cannot be trusted. Its one-line message names file and line. */
export class FrameError extends FileError {
  override name = "FrameError";
}
