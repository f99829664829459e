// test lane: checkout
import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import { join } from "node:path";
import { RUN_COLUMNS } from "../store/layout.ts";
import { OwnTime, readSlices } from "./own_time.ts";
import { readPostgres, readRequests, readResources } from "./run_files.ts";

/** Two turns of a second, of which the first is the warm-up, after which another had two seconds. */
const SLICES = `block,place,start_us,settled_us,end_us,drained_us
0,1,1000000,1000000,2000000,2100000
1,2,4000000,4200000,5000000,5100000
2,1,7000000,7200000,8000000,8000000
`;

const header = (file: keyof typeof RUN_COLUMNS) => Object.keys(RUN_COLUMNS[file]).join(",");

function folderWith(files: Record<string, string>): string {
  const folder = Deno.makeTempDirSync();
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(join(folder, name), text);
  }
  return folder;
}

Deno.test("OwnTime stands still between the turns and goes on before the first", () => {
  const own = new OwnTime(readSlices(folderWith({ "slices.csv": SLICES }))!);
  const times = [
    500_000,
    1_000_000,
    2_100_000,
    3_000_000,
    4_000_000,
    5_100_000,
    6_999_999,
    7_500_000,
    9_000_000,
  ];
  deepEqual(times.map((timeUs) => own.at(timeUs)), [
    500_000,
    1_000_000,
    2_100_000,
    2_100_000,
    2_100_000,
    3_200_000,
    3_200_000,
    3_700_000,
    4_200_001,
  ]);
  deepEqual(times.map((timeUs) => own.isTurn(timeUs)), [
    true,
    true,
    true,
    false,
    true,
    true,
    false,
    true,
    false,
  ]);
  // Others had theirs until 9 s.
  deepEqual(own.windowOf({ startUs: 3_000_000, endUs: 9_000_000 }), {
    startUs: 2_100_000,
    endUs: 4_200_001,
  });
  deepEqual(own.turns()[1], {
    block: 1,
    place: 2,
    startUs: 2_100_000,
    settledUs: 2_300_000,
    endUs: 3_100_000,
    drainedUs: 3_200_000,
  });
});

Deno.test("requests keep their distance from the begin of their turn", async () => {
  const rows = [
    ",1500000,100,,GET /,200,,5",
    ",4300000,200,,GET /,200,,5",
    ",7100000,300,,GET /,200,,5",
  ];
  const folder = folderWith({
    "slices.csv": SLICES,
    "requests.csv": [header("requests.csv"), ...rows, ""].join("\n"),
  });
  const requests = await readRequests(folder);
  deepEqual(requests.getColumn("start_us").toArray().map(Number), [
    1_500_000,
    2_400_000,
    3_300_000,
  ]);
  deepEqual(requests.getColumn("service_us").toArray().map(Number), [100, 200, 300]);
  equal(requests.getColumn("intended_start_us").nullCount(), 3);
});

Deno.test("so do the times at which an open loop's requests were due", async () => {
  const rows = [
    "1400000,1500000,100,100100,GET /,200,,5",
    "4200000,4300000,200,100200,GET /,200,,5",
  ];
  const requests = await readRequests(folderWith({
    "slices.csv": SLICES,
    "requests.csv": [header("requests.csv"), ...rows, ""].join("\n"),
  }));
  const due = requests.getColumn("intended_start_us").toArray().map(Number);
  deepEqual(due, [1_400_000, 2_300_000]);
});

Deno.test("gauges of the idle time are left out, but for the last before the blocks", async () => {
  const rest = Object.keys(RUN_COLUMNS["postgres.csv"]).length - 2;
  const row = (timeUs: number, backends: number) =>
    `${timeUs},${backends}${",0".repeat(rest - 1)},`;
  const folder = folderWith({
    "slices.csv": SLICES,
    "postgres.csv": [
      header("postgres.csv"),
      row(1_500_000, 1),
      row(2_500_000, 2),
      row(3_500_000, 3),
      row(4_500_000, 4),
      row(6_000_000, 5),
      row(7_500_000, 6),
      row(8_100_000, 7),
      // Others had their turn until 9 s.
      row(9_100_000, 8),
      "",
    ].join("\n"),
  });
  const postgres = await readPostgres(folder);
  deepEqual(postgres.getColumn("backends").toArray().map(Number), [1, 3, 4, 6, 8]);
  deepEqual(
    postgres.getColumn("time_us").toArray().map(Number),
    [1_500_000, 2_100_000, 2_600_000, 3_700_000, 4_200_001],
  );
});

Deno.test("of machine and generator only what they did in the run's own turns counts", async () => {
  const row = (timeUs: number, service: string, cpuS: number) =>
    `${timeUs},${service},${cpuS},0,1,1,`;
  const folder = folderWith({
    "slices.csv": SLICES,
    "resources.csv": [
      header("resources.csv"),
      // Two cores all the time; the app only when it has its turn.
      ...[1, 2, 4, 5, 8].flatMap((second, i) => [
        row(second * 1_000_000, "app", [0, 1, 1, 2, 3][i]!),
        row(second * 1_000_000, "host", 2 * (second - 1)),
      ]),
      "",
    ].join("\n"),
  });
  const records = (await readResources(folder)).toRecords() as { service: string; cpu_s: number }[];
  const of = (service: string) =>
    records.filter((record) => record.service === service).map(({ cpu_s }) => cpu_s);
  deepEqual(of("app"), [0, 1, 1, 2, 3]);
  // From 2 to 4 s it had a tenth of a second left to drain; from 5 to 8 s that, and its own second.
  deepEqual(of("host").map((value) => Number(value.toFixed(6))), [0, 2, 2.2, 4.2, 6.4]);
});

Deno.test("readSlices() refuses a file that is no record of turns, with its line", () => {
  equal(readSlices(Deno.makeTempDirSync()), null);
  const read = (text: string) => () => readSlices(folderWith({ "slices.csv": text }));
  throws(read(SLICES.replace("place,", "")), /slices\.csv.*line 1: the header must be/);
  throws(read(SLICES.replace("2,1,7000000", "2,1,5000000")), /line 4: .*each after the one before/);
  throws(read(SLICES.slice(0, -10)), /line 4: the file ends inside this line/);
});

Deno.test("a damaged record of turns is told by whoever reads the run's other files", async () => {
  const folder = folderWith({ "slices.csv": "x\n", "requests.csv": `${header("requests.csv")}\n` });
  await rejects(readRequests(folder), (error: Error) => {
    match(error.message, /slices\.csv, line 1/);
    return true;
  });
});
