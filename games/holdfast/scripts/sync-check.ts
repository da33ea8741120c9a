// Syncs a session's match with MUD's own store-sync, and compares every record with what the World answers when asked directly.
//
// usage: npm run sync-check -- http://127.0.0.1:8645/session/1
//
// Prints the number of records per table as JSON. Ends with 1 if a record differs or a table is empty that can't be.
import { isDeepStrictEqual } from "node:util";
import { getRecord } from "@latticexyz/store/internal";
import { syncToZustand } from "@latticexyz/store-sync/zustand";
import { createPublicClient, defineChain, getAddress, http, parseAbi } from "viem";
import config from "../mud.config";

const SESSION = "0x4578636c61766500000000000000000000000001";
// The rules are in the template, from before the session's first block: no log tells of them.
const IN_TEMPLATE = ["UnitType", "Level"];
const NEVER_EMPTY = ["MatchConfig", "Clock", "PlayerNumber", "Player", "Treasury", "Tally", "TerrainRow", "Structure"];

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

const counts: Record<string, number> = {};
const differences: string[] = [];
for (const name of Object.keys(config.tables)) {
  const table = tables[name as keyof typeof config.tables];
  if (table.type === "offchainTable" || IN_TEMPLATE.includes(name)) continue;
  const records = Object.values(useStore.getState().getRecords(table));
  counts[name] = records.length;
  if (records.length === 0 && NEVER_EMPTY.includes(name)) differences.push(`${name} is empty`);
  for (const record of records) {
    const direct = await getRecord(client, { address, table, key: record.key as never });
    const synced = { ...record.key, ...record.value };
    if (!isDeepStrictEqual({ ...direct }, synced)) {
      differences.push(`${name} ${JSON.stringify(record.key)}: ${show(synced)} synced, ${show(direct)} read`);
    }
  }
}
stopSync();
console.log(JSON.stringify({ block: Number(head), world: address, records: counts, differences }, null, 1));
process.exit(differences.length === 0 ? 0 : 1);

function show(value: unknown): string {
  return JSON.stringify(value, (_, item) => (typeof item === "bigint" ? item.toString() : item));
}
