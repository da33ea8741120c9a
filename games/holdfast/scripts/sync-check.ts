// Syncs a session's match with MUD's own store-sync, and compares every record with what the World answers when asked directly, and
// the records' keys with those that the match must have by the World's views, so that none is missing.
//
// usage: npm run sync-check -- http://127.0.0.1:8645/session/1
//
// Prints the number of records per table as JSON. Ends with 1 if a record differs, is missing, or should not be there;
// with 3 if the match went on in the meantime.
import { isDeepStrictEqual } from "node:util";
import { getRecord } from "@latticexyz/store/internal";
import { syncToZustand } from "@latticexyz/store-sync/zustand";
import { createPublicClient, defineChain, getAddress, http, parseAbi, type Abi, type Address } from "viem";
import config from "../mud.config";
import world from "../artifacts/IWorld.json";

/** What of `viewMatch` is used here. */
interface MatchView {
  finished: boolean;
  height: number;
  players: { account: Address }[];
  units: { unitId: number; x: number; y: number }[];
  structures: { x: number; y: number }[];
}

const SESSION = "0x4578636c61766500000000000000000000000001";
// The rules are in the template, from before the session's first block: no log tells of them.
const IN_TEMPLATE = ["UnitType", "Level"];

const url = process.argv[2];
if (url === undefined) {
  console.error("usage: npm run sync-check -- URL, such as http://127.0.0.1:8645/session/1");
  process.exit(2);
}

const probe = createPublicClient({ transport: http(url) });
const chain = defineChain({
  id: await probe.getChainId(),
  name: "session",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [url] } },
});
const client = createPublicClient({ chain, transport: http(url), pollingInterval: 100 });
const address = getAddress(
  await client.readContract({ address: SESSION, abi: parseAbi(["function game() view returns (address)"]), functionName: "game" }),
);

const head = await client.getBlockNumber();
const { useStore, tables, stopSync } = await syncToZustand({ config, address, publicClient: client, startBlock: 0n });
await new Promise<void>((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error("not synced within a minute")), 60_000);
  const look = () => {
    const { step, lastBlockNumberProcessed } = useStore.getState().syncProgress;
    if (step !== "live" || lastBlockNumberProcessed < head) return;
    clearTimeout(timer);
    unsubscribe();
    resolve();
  };
  const unsubscribe = useStore.subscribe(look);
  look();
});

const synced = useStore.getState().syncProgress.lastBlockNumberProcessed;
const match = (await client.readContract({ address, abi: world.abi as Abi, functionName: "viewMatch" })) as MatchView;
const numbers = match.players.map((_, index) => ({ player: index + 1 }));
const expected: Record<string, object[]> = {
  MatchConfig: [{}],
  Clock: [{}],
  MatchFinished: match.finished ? [{}] : [],
  MatchRanking: match.finished ? [{}] : [],
  PlayerNumber: match.players.map(({ account }) => ({ account })),
  Player: numbers,
  Treasury: numbers,
  Tally: numbers,
  TerrainRow: Array.from({ length: match.height }, (_, y) => ({ y })),
  Structure: match.structures.map(({ x, y }) => ({ x, y })),
  Occupant: match.units.map(({ x, y }) => ({ x, y })),
  Unit: match.units.map(({ unitId }) => ({ unitId })),
};

const counts: Record<string, number> = {};
const differences: string[] = [];
for (const name of Object.keys(config.tables)) {
  const table = tables[name as keyof typeof config.tables];
  if (table.type === "offchainTable" || IN_TEMPLATE.includes(name)) continue;
  const records = Object.values(useStore.getState().getRecords(table));
  counts[name] = records.length;
  const wanted = expected[name];
  if (wanted === undefined) throw new Error(`no view tells which records ${name} has`);
  compareKeys(name, wanted, records.map((record) => record.key));
  for (const record of records) {
    const direct = await getRecord(client, { address, table, key: record.key as never });
    const told = { ...record.key, ...record.value };
    if (!isDeepStrictEqual({ ...direct }, told)) {
      differences.push(`${name} ${JSON.stringify(record.key)}: ${show(told)} synced, ${show(direct)} read`);
    }
  }
}
stopSync();
if ((await client.getBlockNumber({ cacheTime: 0 })) !== synced) {
  console.error("the match went on in the meantime: run this again when it rests");
  process.exit(3);
}
console.log(JSON.stringify({ block: Number(head), world: address, records: counts, differences }, null, 1));
process.exit(differences.length === 0 ? 0 : 1);

/** Each wanted key once, and no other. */
function compareKeys(name: string, wanted: object[], found: object[]): void {
  const named = (keys: object[]) => new Set(keys.map((key) => show(Object.fromEntries(Object.entries(key).sort()))));
  const [must, has] = [named(wanted), named(found)];
  for (const key of must) if (!has.has(key)) differences.push(`${name} ${key} is missing`);
  for (const key of has) if (!must.has(key)) differences.push(`${name} ${key} should not be there`);
  if (found.length !== has.size) differences.push(`${name} has a record twice`);
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item));
}
