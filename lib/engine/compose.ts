/**
 * Reads compose files as the Compose specification says, as far as Poolscope's own use it: merge of
 * override files, interpolation, short and long forms. A key that is not supported is an error that
 * names file, service and key. Nothing is read from disk or sent to Docker here.
 *
 * @module
 */

import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type ScalarTag,
} from "yaml";
import { UsageError } from "../errors.ts";
import { interpolate } from "./interpolate.ts";

/** A text and the name by which errors call it. */
export interface ComposeFile {
  name: string;
  text: string;
}

/** How to build a service's image. */
export interface ComposeBuild {
  /** The build context, as written: relative to the first file's folder. */
  context: string;
  /** Relative to the context. */
  dockerfile: string;
  args: Record<string, string>;
  target: string | null;
}

/** A port of the container that is published on the host. */
export interface ComposePort {
  target: number;
  /** The host's port; null for any free one. */
  published: number | null;
  hostIp: string;
  protocol: "tcp" | "udp";
}

/** A check that says whether a container works. Times are nanoseconds, as Docker takes them. */
export interface ComposeHealthcheck {
  test: string[];
  interval?: number;
  timeout?: number;
  startPeriod?: number;
  retries?: number;
}

/** A secret or config that a service is given as a file. */
export interface ComposeGrant {
  /** Its name in the file's own list. */
  source: string;
  /** The path in the container. */
  target: string;
  uid: number | null;
  gid: number | null;
  mode: number;
}

/** What another service must have reached before this one starts. */
export type DependencyCondition =
  | "service_started"
  | "service_healthy"
  | "service_completed_successfully";

/** One service, every form normalised. */
export interface ComposeService {
  name: string;
  image: string | null;
  build: ComposeBuild | null;
  command: string[] | null;
  entrypoint: string[] | null;
  environment: Record<string, string>;
  ports: ComposePort[];
  healthcheck: ComposeHealthcheck | null;
  dependsOn: Record<string, DependencyCondition>;
  /** Cores; null for no limit. */
  cpus: number | null;
  /** Bytes; null for no limit. */
  memory: number | null;
  pids: number | null;
  cpuset: string;
  sysctls: Record<string, string>;
  secrets: ComposeGrant[];
  configs: ComposeGrant[];
  /** Names of networks with the aliases in them. */
  networks: Record<string, string[]>;
  user: string;
  workingDir: string;
  init: boolean;
  stopSignal: string;
  /** Seconds; null for Docker's own. */
  stopGraceS: number | null;
  ulimits: Record<string, { soft: number; hard: number }>;
  labels: Record<string, string>;
  profiles: string[];
  capAdd: string[];
  capDrop: string[];
  securityOpt: string[];
  readOnly: boolean;
  /** Folders in memory, with their options. */
  tmpfs: Record<string, string>;
  /** Bytes; null for Docker's own. */
  shmSize: number | null;
}

/** A secret or config, as the file declares it. */
export interface ComposeSource {
  file?: string;
  environment?: string;
  content?: string;
}

/** Everything that some compose files say together. */
export interface ComposeProject {
  name: string | null;
  services: Record<string, ComposeService>;
  networks: string[];
  secrets: Record<string, ComposeSource>;
  configs: Record<string, ComposeSource>;
}

type Value = null | boolean | number | string | Value[] | Mapping | typeof RESET | Override;
type Mapping = { [key: string]: Value };

/** What an override file takes back (`!reset`). */
const RESET: unique symbol = Symbol("reset");

/** What an override file puts in the place of what was there (`!override`). */
class Override {
  constructor(readonly value: Value) {}
}

/** Where something stands, for errors: `compose/compose.yml, service app, key ports`. */
class Place {
  constructor(readonly file: string, readonly keys: readonly string[] = []) {}

  toString(): string {
    const [first, service, ...rest] = this.keys;
    const inService = first === "services" && service !== undefined;
    const key = (inService ? rest : this.keys).join(".");
    return this.file + (inService ? `, service ${service}` : "") + (key && `, key ${key}`);
  }

  at(key: string | number): Place {
    return new Place(this.file, [...this.keys, String(key)]);
  }

  fail(what: string): never {
    throw new UsageError(`Cannot read ${this}: ${what}`);
  }
}

/**
 * Reads compose files; each after the first overrides those before it.
 *
 * @param files The files, the base first.
 * @param variables Values for interpolation. @default none
 * @returns What they say together.
 * @throws {UsageError} If one is not YAML, uses a key that is not supported, or a value is not one.
 *
 * @example
 * ```ts
 * import { readCompose } from "./compose.ts";
 *
 * const text = "services: {app: {image: 'web:${TAG:-1}', ports: ['127.0.0.1::8000']}}";
 * const { services } = readCompose([{ name: "compose.yml", text }]);
 * console.assert(services.app?.image === "web:1" && services.app.ports[0]?.published === null);
 * ```
 */
export function readCompose(
  files: ComposeFile[],
  variables: Record<string, string> = {},
): ComposeProject {
  const project: ComposeProject = {
    name: null,
    services: {},
    networks: [],
    secrets: {},
    configs: {},
  };
  const layers: Record<string, Layer> = {};
  const places: Record<string, Place> = {};
  for (const file of files) {
    const place = new Place(file.name);
    for (const [key, value] of Object.entries(parse(file, variables))) {
      if (key.startsWith("x-")) continue;
      const at = place.at(key);
      if (key === "name") project.name = string(value, at);
      else if (key === "services") {
        for (const [name, service] of Object.entries(mapping(value, at))) {
          const layer = readLayer(mapping(service, at.at(name)), at.at(name), variables);
          layers[name] = mergeLayers(layers[name] ?? {}, layer);
          places[name] = at.at(name);
        }
      } else if (key === "networks") {
        for (const [name, network] of Object.entries(mapping(value, at))) {
          if (network !== null) known(mapping(network, at.at(name)), at.at(name), []);
          if (!project.networks.includes(name)) project.networks.push(name);
        }
      } else if (key === "secrets" || key === "configs") {
        for (const [name, source] of Object.entries(mapping(value, at))) {
          project[key][name] = { ...project[key][name], ...readSource(source, at.at(name)) };
        }
      } else at.fail("this key is not supported");
    }
  }
  for (const [name, layer] of Object.entries(layers)) {
    project.services[name] = finish(name, layer);
    checkReferences(project.services[name], project, layers, places[name]!);
  }
  return project;
}

/** Octal numbers as the YAML 1.1 of other readers has them: a file's mode is written `0600`. */
const OCTAL: ScalarTag = {
  default: true,
  tag: "tag:yaml.org,2002:int",
  test: /^0[0-7]+$/,
  resolve: (digits: string) => parseInt(digits, 8),
};

/** YAML to plain values, with variables replaced; only values hold variables, never keys. */
function parse({ name, text }: ComposeFile, variables: Record<string, string>): Mapping {
  const document = parseDocument(text, { customTags: (tags) => [OCTAL, ...tags] });
  const problem = document.errors[0] ??
    document.warnings.find(({ message }) => !/Unresolved tag: !(reset|override)/.test(message));
  if (problem !== undefined) {
    throw new UsageError(`Cannot read ${name}: ${problem.message.split("\n")[0]}`);
  }
  const place = new Place(name);
  return mapping(toValue(document.contents, document, place, variables), place);
}

function toValue(
  node: unknown,
  document: Document,
  place: Place,
  variables: Record<string, string>,
): Value {
  if (!isNode(node)) return null;
  if (isAlias(node)) {
    return toValue(node.resolve(document), document, place, variables);
  }
  const tag = node.tag;
  if (tag === "!reset") return RESET;
  const plain = plainValue(node, document, place, variables);
  return tag === "!override" ? new Override(plain) : plain;
}

function plainValue(
  node: Node,
  document: Document,
  place: Place,
  variables: Record<string, string>,
): Value {
  if (isSeq(node)) {
    return node.items.map((item, i) => toValue(item, document, place.at(i), variables));
  }
  if (isMap(node)) {
    const merged: Mapping = {};
    const own: Mapping = {};
    for (const { key, value } of node.items.filter(isPair)) {
      const name = String(isScalar(key) ? key.value : key);
      const found = toValue(value, document, place.at(name), variables);
      if (name !== "<<") own[name] = found;
      else Object.assign(merged, ...[found].flat().reverse());
    }
    return { ...merged, ...own };
  }
  const value = isScalar(node) ? node.value : null;
  return typeof value === "string" ? interpolate(value, variables, String(place)) : value as Value;
}

function mapping(value: Value | undefined, place: Place): Mapping {
  if (
    typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Override)
  ) return value;
  return place.fail("it must be a mapping");
}

/** Refuses every key that is not in the list. */
function known(value: Mapping, place: Place, keys: readonly string[]): Mapping {
  for (const key of Object.keys(value)) {
    if (!keys.includes(key)) place.at(key).fail("this key is not supported");
  }
  return value;
}

function string(value: Value | undefined, place: Place): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return place.fail("it must be a text");
}

function list(value: Value | undefined, place: Place): Value[] {
  return Array.isArray(value) ? value : place.fail("it must be a list");
}

function strings(value: Value | undefined, place: Place): string[] {
  return list(value, place).map((item, i) => string(item, place.at(i)));
}

function boolean(value: Value | undefined, place: Place): boolean {
  const text = string(value, place);
  return text === "true" || (text === "false" ? false : place.fail("it must be true or false"));
}

function whole(value: Value | undefined, place: Place): number {
  const text = string(value, place);
  return /^\d+$/.test(text) ? Number(text) : place.fail(`"${text}" is no whole number`);
}

/** A list of `KEY=VALUE`, or a mapping; a value of null is the environment's own, or takes back. */
function pairs(
  value: Value | undefined,
  place: Place,
  variables: Record<string, string> = {},
): Record<string, string | null> {
  const entries = Array.isArray(value)
    ? strings(value, place).map((item) => {
      const at = item.indexOf("=");
      return at === -1 ? [item, null] as const : [item.slice(0, at), item.slice(at + 1)] as const;
    })
    : Object.entries(mapping(value, place)).map(([key, item]) =>
      [key, item === RESET ? RESET : item === null ? null : string(item, place.at(key))] as const
    );
  return Object.fromEntries(
    entries.map(([key, item]) => [key, item === RESET ? null : item ?? variables[key] ?? null]),
  );
}

/** Units of byte sizes as Docker reads them: powers of 1024. */
const SIZE_UNITS: Record<string, number> = { "": 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/**
 * A byte size such as `512M`, `1.5gb` or `64k`; units are powers of 1024.
 *
 * @returns Bytes, or null when it is no size.
 */
export function parseSize(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?$/i.exec(text.trim());
  const unit = SIZE_UNITS[match?.[2]?.toLowerCase() ?? ""];
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}

/** Units of durations, in nanoseconds. */
const TIME_UNITS: Record<string, number> = { us: 1e3, ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12 };

/**
 * A duration such as `1m30s`, `500ms` or `1.5s`.
 *
 * @returns Nanoseconds, or null when it is no duration.
 */
export function parseDuration(text: string): number | null {
  if (!/^(\d+(\.\d+)?(us|ms|s|m|h))+$/.test(text)) return null;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g)) {
    total += Number(number) * TIME_UNITS[unit!]!;
  }
  return Math.round(total);
}

function size(value: Value | undefined, place: Place): number {
  const text = string(value, place);
  return parseSize(text) ?? place.fail(`"${text}" is no size such as 512M`);
}

function duration(value: Value | undefined, place: Place): number {
  const text = string(value, place);
  return parseDuration(text) ?? place.fail(`"${text}" is no duration such as 1m30s`);
}

/** Words of a command as a shell splits them; nothing in them is expanded. */
export function splitWords(text: string): string[] | null {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s"'\\]|\\[^]|'[^']*'|"(?:[^"\\]|\\[^])*")+)\s*/gy;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    words.push(
      match[1]!.replace(
        /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])/g,
        (_, single?: string, double?: string, escaped?: string) =>
          single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped!,
      ),
    );
    end = match.index + match[0].length;
  }
  return end === text.length || text.trim() === "" ? words : null;
}

function command(value: Value | undefined, place: Place): string[] | null {
  if (value === null) return null;
  if (Array.isArray(value)) return strings(value, place);
  return splitWords(string(value, place)) ?? place.fail("a quotation mark is not closed");
}

/** Records whose entries an override file may take back: they are null then. */
type Records = {
  environment: Record<string, string | null>;
  labels: Record<string, string | null>;
  sysctls: Record<string, string | null>;
  dependsOn: Record<string, DependencyCondition | null>;
  networks: Record<string, string[] | null>;
};

/** What one file says of a service. */
type Layer = Partial<Omit<ComposeService, "name" | keyof Records> & Records> & {
  /** What earlier files said of these does not count any more. */
  dropped?: (keyof ComposeService)[];
};

/** Reads the value of one key into a layer. */
type Reader = (value: Value, place: Place, variables: Record<string, string>) => Layer;

/** Every key of a service that is supported, and what it sets; that is also what `!reset` clears. */
const READERS: Record<string, { sets: (keyof ComposeService)[]; read: Reader }> = {
  image: { sets: ["image"], read: (value, place) => ({ image: string(value, place) }) },
  build: { sets: ["build"], read: (value, place) => ({ build: readBuild(value, place) }) },
  command: { sets: ["command"], read: (value, place) => ({ command: command(value, place) }) },
  entrypoint: {
    sets: ["entrypoint"],
    read: (value, place) => ({ entrypoint: command(value, place) }),
  },
  environment: {
    sets: ["environment"],
    read: (value, place, variables) => ({ environment: pairs(value, place, variables) }),
  },
  labels: { sets: ["labels"], read: (value, place) => ({ labels: pairs(value, place) }) },
  sysctls: { sets: ["sysctls"], read: (value, place) => ({ sysctls: pairs(value, place) }) },
  ports: {
    sets: ["ports"],
    read: (value, place) => ({
      ports: list(value, place).map((item, i) => readPort(item, place.at(i))),
    }),
  },
  healthcheck: {
    sets: ["healthcheck"],
    read: (value, place) => ({ healthcheck: readHealthcheck(value, place) }),
  },
  depends_on: {
    sets: ["dependsOn"],
    read: (value, place) => ({ dependsOn: readDependencies(value, place) }),
  },
  deploy: { sets: ["cpus", "memory", "pids"], read: readDeploy },
  cpuset: { sets: ["cpuset"], read: (value, place) => ({ cpuset: string(value, place) }) },
  secrets: {
    sets: ["secrets"],
    read: (value, place) => ({ secrets: readGrants(value, place, "/run/secrets/") }),
  },
  configs: {
    sets: ["configs"],
    read: (value, place) => ({ configs: readGrants(value, place, "/") }),
  },
  networks: {
    sets: ["networks"],
    read: (value, place) => ({ networks: readNetworks(value, place) }),
  },
  user: { sets: ["user"], read: (value, place) => ({ user: string(value, place) }) },
  working_dir: {
    sets: ["workingDir"],
    read: (value, place) => ({ workingDir: string(value, place) }),
  },
  init: { sets: ["init"], read: (value, place) => ({ init: boolean(value, place) }) },
  stop_signal: {
    sets: ["stopSignal"],
    read: (value, place) => ({ stopSignal: string(value, place) }),
  },
  stop_grace_period: {
    sets: ["stopGraceS"],
    read: (value, place) => ({ stopGraceS: duration(value, place) / 1e9 }),
  },
  ulimits: { sets: ["ulimits"], read: (value, place) => ({ ulimits: readUlimits(value, place) }) },
  profiles: { sets: ["profiles"], read: (value, place) => ({ profiles: strings(value, place) }) },
  cap_add: { sets: ["capAdd"], read: (value, place) => ({ capAdd: strings(value, place) }) },
  cap_drop: { sets: ["capDrop"], read: (value, place) => ({ capDrop: strings(value, place) }) },
  security_opt: {
    sets: ["securityOpt"],
    read: (value, place) => ({ securityOpt: strings(value, place) }),
  },
  read_only: { sets: ["readOnly"], read: (value, place) => ({ readOnly: boolean(value, place) }) },
  tmpfs: { sets: ["tmpfs"], read: (value, place) => ({ tmpfs: readTmpfs(value, place) }) },
  shm_size: { sets: ["shmSize"], read: (value, place) => ({ shmSize: size(value, place) }) },
};

function readLayer(service: Mapping, place: Place, variables: Record<string, string>): Layer {
  const layer: Layer = {};
  for (const [key, value] of Object.entries(service)) {
    if (key.startsWith("x-")) continue;
    const reader = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
    const at = place.at(key);
    if (reader === undefined) return at.fail("this key is not supported");
    if (value === RESET || value instanceof Override) {
      layer.dropped = [...layer.dropped ?? [], ...reader.sets];
    }
    if (value === RESET) continue;
    Object.assign(
      layer,
      reader.read(value instanceof Override ? value.value : value, at, variables),
    );
  }
  return layer;
}

function readBuild(value: Value, place: Place): ComposeBuild {
  const short = typeof value === "string" ? { context: value } : value;
  const build = known(mapping(short, place), place, ["context", "dockerfile", "args", "target"]);
  const args = build.args === undefined ? {} : pairs(build.args, place.at("args"));
  return {
    context: string(build.context ?? ".", place.at("context")),
    dockerfile: string(build.dockerfile ?? "Dockerfile", place.at("dockerfile")),
    args: withoutNull(args),
    target: build.target === undefined ? null : string(build.target, place.at("target")),
  };
}

/** `[HOST_IP:][PUBLISHED:]TARGET[/PROTOCOL]`, or a mapping. */
function readPort(value: Value, place: Place): ComposePort {
  if (typeof value === "number" || typeof value === "string") {
    const match = /^(?:(?:(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]):)?(\d*):)?(\d+)(?:\/(tcp|udp))?$/
      .exec(String(value));
    if (match === null) return place.fail(`"${value}" is no port such as 127.0.0.1:8000:8000`);
    const [, hostIp = "", published = "", target, protocol = "tcp"] = match;
    return {
      target: Number(target),
      published: Number(published) || null,
      hostIp: hostIp.replace(/[[\]]/g, ""),
      protocol: protocol as "tcp" | "udp",
    };
  }
  const port = known(mapping(value, place), place, ["target", "published", "host_ip", "protocol"]);
  const protocol = string(port.protocol ?? "tcp", place.at("protocol"));
  if (protocol !== "tcp" && protocol !== "udp") return place.fail("protocol must be tcp or udp");
  return {
    target: whole(port.target, place.at("target")),
    published: port.published == null ? null : whole(port.published, place.at("published")) || null,
    hostIp: string(port.host_ip ?? "", place.at("host_ip")),
    protocol,
  };
}

function readHealthcheck(value: Value, place: Place): ComposeHealthcheck {
  const check = known(mapping(value, place), place, [
    "test",
    "interval",
    "timeout",
    "retries",
    "start_period",
    "disable",
  ]);
  const time = (key: string) =>
    check[key] === undefined ? undefined : duration(check[key], place.at(key));
  const read: ComposeHealthcheck = { test: [] };
  if (check.disable !== undefined && boolean(check.disable, place.at("disable"))) {
    read.test = ["NONE"];
  } else if (Array.isArray(check.test)) {
    read.test = strings(check.test, place.at("test"));
    const [kind = "", ...rest] = read.test;
    const fits = kind === "NONE"
      ? rest.length === 0
      : kind === "CMD-SHELL"
      ? rest.length === 1
      : kind === "CMD" && rest.length > 0;
    if (!fits) place.at("test").fail("a list begins with NONE, CMD or CMD-SHELL");
  } else if (check.test !== undefined) {
    read.test = ["CMD-SHELL", string(check.test, place.at("test"))];
  }
  const [interval, timeout, startPeriod] = ["interval", "timeout", "start_period"].map(time);
  if (interval !== undefined) read.interval = interval;
  if (timeout !== undefined) read.timeout = timeout;
  if (startPeriod !== undefined) read.startPeriod = startPeriod;
  if (check.retries !== undefined) read.retries = whole(check.retries, place.at("retries"));
  return read;
}

const CONDITIONS: string[] = [
  "service_started",
  "service_healthy",
  "service_completed_successfully",
] satisfies DependencyCondition[];

function readDependencies(value: Value, place: Place): Record<string, DependencyCondition | null> {
  if (Array.isArray(value)) {
    return Object.fromEntries(strings(value, place).map((name) => [name, "service_started"]));
  }
  return Object.fromEntries(
    Object.entries(mapping(value, place)).map(([name, entry]) => {
      if (entry === RESET) return [name, null];
      const at = place.at(name);
      const { condition } = known(mapping(entry, at), at, ["condition"]);
      const found = string(condition, at.at("condition"));
      if (!CONDITIONS.includes(found)) at.fail(`condition is one of ${CONDITIONS.join(", ")}`);
      return [name, found as DependencyCondition];
    }),
  );
}

function readDeploy(value: Value, place: Place): Layer {
  const deploy = known(mapping(value, place), place, ["resources"]);
  const at = place.at("resources");
  const resources = known(mapping(deploy.resources ?? {}, at), at, ["limits"]);
  const where = at.at("limits");
  const limits = known(mapping(resources.limits ?? {}, where), where, ["cpus", "memory", "pids"]);
  const layer: Layer = {};
  const taken = (entry: Value) => entry === RESET || entry === null;
  if (limits.cpus !== undefined) {
    const text = taken(limits.cpus) ? "0" : string(limits.cpus, where.at("cpus"));
    if (!/^\d*\.?\d+$/.test(text)) where.at("cpus").fail(`"${text}" is no number of cores`);
    // As for Docker itself, 0 is no limit.
    layer.cpus = Number(text) || null;
  }
  if (limits.memory !== undefined) {
    layer.memory = taken(limits.memory) ? null : size(limits.memory, where.at("memory")) || null;
  }
  if (limits.pids !== undefined) {
    layer.pids = taken(limits.pids) ? null : whole(limits.pids, where.at("pids")) || null;
  }
  return layer;
}

function readGrants(value: Value, place: Place, folder: string): ComposeGrant[] {
  return list(value, place).map((item, i) => {
    const at = place.at(i);
    const short = typeof item === "string" ? { source: item } : item;
    const grant = known(mapping(short, at), at, ["source", "target", "uid", "gid", "mode"]);
    const source = string(grant.source, at.at("source"));
    const target = string(grant.target ?? source, at.at("target"));
    const id = (key: "uid" | "gid") => grant[key] == null ? null : whole(grant[key], at.at(key));
    // A text of digits is octal, as chmod takes it; a number was octal in the file.
    const mode = typeof grant.mode === "string"
      ? parseInt(grant.mode, 8)
      : grant.mode === undefined
      ? 0o444
      : whole(grant.mode, at.at("mode"));
    if (!(mode >= 0 && mode <= 0o777)) at.at("mode").fail("it must be a mode such as 0600");
    return {
      source,
      target: target.startsWith("/") ? target : folder + target,
      uid: id("uid"),
      gid: id("gid"),
      mode,
    };
  });
}

function readNetworks(value: Value, place: Place): Record<string, string[] | null> {
  if (Array.isArray(value)) {
    return Object.fromEntries(strings(value, place).map((name) => [name, []]));
  }
  return Object.fromEntries(
    Object.entries(mapping(value, place)).map(([name, entry]) => {
      if (entry === RESET) return [name, null];
      const at = place.at(name);
      const { aliases } = entry === null ? {} : known(mapping(entry, at), at, ["aliases"]);
      return [name, aliases === undefined ? [] : strings(aliases, at.at("aliases"))];
    }),
  );
}

function readUlimits(value: Value, place: Place): ComposeService["ulimits"] {
  return Object.fromEntries(
    Object.entries(mapping(value, place)).map(([name, entry]) => {
      const at = place.at(name);
      if (typeof entry !== "object") {
        const both = whole(entry, at);
        return [name, { soft: both, hard: both }];
      }
      const { soft, hard } = known(mapping(entry, at), at, ["soft", "hard"]);
      return [name, { soft: whole(soft, at.at("soft")), hard: whole(hard, at.at("hard")) }];
    }),
  );
}

function readTmpfs(value: Value, place: Place): Record<string, string> {
  const entries = typeof value === "string" ? [value] : strings(value, place);
  return Object.fromEntries(entries.map((entry) => {
    const [folder = "", ...options] = entry.split(":");
    return [folder, options.join(":")];
  }));
}

function readSource(value: Value, place: Place): ComposeSource {
  const source = known(mapping(value, place), place, ["file", "environment", "content"]);
  return Object.fromEntries(
    Object.entries(source).map(([key, entry]) => [key, string(entry, place.at(key))]),
  );
}

/**
 * A later file's layer over an earlier one's, as the specification says: mappings are merged, lists
 * are appended to, and what has an identity (a port, a secret's target) is replaced; commands and a
 * health check's test are replaced as a whole.
 */
function mergeLayers(base: Layer, over: Layer): Layer {
  const kept: Layer = { ...base };
  for (const key of over.dropped ?? []) delete kept[key as keyof Layer];
  const merged: Layer = { ...kept, ...over };
  for (
    const key of ["environment", "labels", "sysctls", "dependsOn", "networks"] as const
  ) {
    if (kept[key] && over[key]) Object.assign(merged, { [key]: { ...kept[key], ...over[key] } });
  }
  for (const key of ["tmpfs", "ulimits"] as const) {
    if (kept[key] && over[key]) Object.assign(merged, { [key]: { ...kept[key], ...over[key] } });
  }
  for (const key of ["capAdd", "capDrop", "securityOpt", "profiles"] as const) {
    if (kept[key] && over[key]) merged[key] = [...new Set([...kept[key], ...over[key]])];
  }
  if (kept.build && over.build) {
    merged.build = { ...over.build, args: { ...kept.build.args, ...over.build.args } };
  }
  if (kept.healthcheck && over.healthcheck) {
    const { test, ...times } = over.healthcheck;
    const same = test.length === 0 ? kept.healthcheck.test : test;
    merged.healthcheck = { ...kept.healthcheck, ...times, test: same };
  }
  merged.ports = unique(
    kept.ports,
    over.ports,
    ({ hostIp, target, published, protocol }) => `${hostIp}:${published}:${target}/${protocol}`,
  );
  merged.secrets = unique(kept.secrets, over.secrets, ({ target }) => target);
  merged.configs = unique(kept.configs, over.configs, ({ target }) => target);
  return merged;
}

function unique<T>(base: T[] = [], over: T[] = [], name: (item: T) => string): T[] {
  return [...new Map([...base, ...over].map((item) => [name(item), item])).values()];
}

function withoutNull<T>(record: Record<string, T | null>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, T] => entry[1] !== null),
  );
}

/** A whole service: what no file says has the specification's default. */
function finish(name: string, layer: Layer): ComposeService {
  const networks = withoutNull(layer.networks ?? {});
  return {
    name,
    image: layer.image ?? null,
    build: layer.build ?? null,
    command: layer.command ?? null,
    entrypoint: layer.entrypoint ?? null,
    environment: withoutNull(layer.environment ?? {}),
    ports: layer.ports ?? [],
    healthcheck: layer.healthcheck ?? null,
    dependsOn: withoutNull(layer.dependsOn ?? {}),
    cpus: layer.cpus ?? null,
    memory: layer.memory ?? null,
    pids: layer.pids ?? null,
    cpuset: layer.cpuset ?? "",
    sysctls: withoutNull(layer.sysctls ?? {}),
    secrets: layer.secrets ?? [],
    configs: layer.configs ?? [],
    networks: Object.keys(networks).length === 0 ? { default: [] } : networks,
    user: layer.user ?? "",
    workingDir: layer.workingDir ?? "",
    init: layer.init ?? false,
    stopSignal: layer.stopSignal ?? "",
    stopGraceS: layer.stopGraceS ?? null,
    ulimits: layer.ulimits ?? {},
    labels: withoutNull(layer.labels ?? {}),
    profiles: layer.profiles ?? [],
    capAdd: layer.capAdd ?? [],
    capDrop: layer.capDrop ?? [],
    securityOpt: layer.securityOpt ?? [],
    readOnly: layer.readOnly ?? false,
    tmpfs: layer.tmpfs ?? {},
    shmSize: layer.shmSize ?? null,
  };
}

/** A service must not refer to what no file declares. */
function checkReferences(
  service: ComposeService,
  project: ComposeProject,
  services: Record<string, unknown>,
  place: Place,
): void {
  if (service.image === null && service.build === null) {
    place.fail("it has neither image nor build");
  }
  for (const name of Object.keys(service.dependsOn)) {
    if (services[name] === undefined) {
      place.at("depends_on").fail(`there is no service ${name}`);
    }
  }
  for (const key of ["secrets", "configs"] as const) {
    for (const { source } of service[key]) {
      if (project[key][source] === undefined) place.at(key).fail(`${source} is not declared`);
    }
  }
  for (const name of Object.keys(service.networks)) {
    if (name !== "default" && !project.networks.includes(name)) {
      place.at("networks").fail(`${name} is not declared`);
    }
  }
}

/** The part of Docker's create request that a service's description gives. */
export interface CreateBody {
  Image: string;
  Cmd?: string[];
  Entrypoint?: string[];
  Env: string[];
  User?: string;
  WorkingDir?: string;
  StopSignal?: string;
  StopTimeout?: number;
  Labels: Record<string, string>;
  ExposedPorts: Record<string, Record<never, never>>;
  Healthcheck?: {
    Test?: string[];
    Interval?: number;
    Timeout?: number;
    StartPeriod?: number;
    Retries?: number;
  };
  HostConfig: {
    PortBindings: Record<string, { HostIp: string; HostPort: string }[]>;
    /** CPU quota as period and quota: unlike `NanoCpus`, those can be lifted again. */
    CpuPeriod?: number;
    CpuQuota?: number;
    Memory?: number;
    PidsLimit?: number;
    CpusetCpus?: string;
    Sysctls?: Record<string, string>;
    Ulimits: { Name: string; Soft: number; Hard: number }[];
    Init?: boolean;
    CapAdd?: string[];
    CapDrop?: string[];
    SecurityOpt?: string[];
    ReadonlyRootfs?: boolean;
    Tmpfs?: Record<string, string>;
    ShmSize?: number;
    LogConfig?: { Type: string; Config: Record<string, string> };
  };
}

/** Microseconds over which a CPU quota counts. */
export const CPU_PERIOD_US = 100_000;

/**
 * Docker's create request for a service; networks, secrets and configs are the engine's part.
 *
 * @throws {UsageError} If the service has no image: what is built needs a name, too.
 */
export function toCreateBody(service: ComposeService): CreateBody {
  if (service.image === null) {
    throw new UsageError(`Cannot create ${service.name}: its service names no image`);
  }
  const { healthcheck: health } = service;
  const body: CreateBody = {
    Image: service.image,
    Env: Object.entries(service.environment).map(([name, value]) => `${name}=${value}`),
    Labels: service.labels,
    ExposedPorts: {},
    HostConfig: {
      PortBindings: {},
      Ulimits: Object.entries(service.ulimits).map(([Name, { soft, hard }]) => ({
        Name,
        Soft: soft,
        Hard: hard,
      })),
    },
  };
  const host = body.HostConfig;
  for (const { target, published, hostIp, protocol } of service.ports) {
    const key = `${target}/${protocol}`;
    body.ExposedPorts[key] = {};
    const binding = { HostIp: hostIp, HostPort: published === null ? "" : String(published) };
    host.PortBindings[key] = [...host.PortBindings[key] ?? [], binding];
  }
  if (service.command !== null) body.Cmd = service.command;
  if (service.entrypoint !== null) body.Entrypoint = service.entrypoint;
  if (service.user !== "") body.User = service.user;
  if (service.workingDir !== "") body.WorkingDir = service.workingDir;
  if (service.stopSignal !== "") body.StopSignal = service.stopSignal;
  if (service.stopGraceS !== null) body.StopTimeout = Math.ceil(service.stopGraceS);
  if (health !== null) {
    body.Healthcheck = {
      ...(health.test.length > 0 && { Test: health.test }),
      ...(health.interval !== undefined && { Interval: health.interval }),
      ...(health.timeout !== undefined && { Timeout: health.timeout }),
      ...(health.startPeriod !== undefined && { StartPeriod: health.startPeriod }),
      ...(health.retries !== undefined && { Retries: health.retries }),
    };
  }
  if (service.cpus !== null) {
    host.CpuPeriod = CPU_PERIOD_US;
    host.CpuQuota = Math.round(service.cpus * CPU_PERIOD_US);
  }
  if (service.memory !== null) host.Memory = service.memory;
  if (service.pids !== null) host.PidsLimit = service.pids;
  if (service.cpuset !== "") host.CpusetCpus = service.cpuset;
  if (Object.keys(service.sysctls).length > 0) host.Sysctls = service.sysctls;
  if (service.init) host.Init = true;
  if (service.capAdd.length > 0) host.CapAdd = service.capAdd;
  if (service.capDrop.length > 0) host.CapDrop = service.capDrop;
  if (service.securityOpt.length > 0) host.SecurityOpt = service.securityOpt;
  if (service.readOnly) host.ReadonlyRootfs = true;
  if (Object.keys(service.tmpfs).length > 0) host.Tmpfs = service.tmpfs;
  if (service.shmSize !== null) host.ShmSize = service.shmSize;
  return body;
}
