// Plays a move with viem and prints what it saw as JSON. Used by test_rpc_libraries.py.
const { createPublicClient, createWalletClient, http, webSocket, parseAbiItem } = require(process.env.VIEM)
const { privateKeyToAccount } = require(`${process.env.VIEM}/accounts`)

const { SESSION_URL: url, PROBE: address } = process.env
const abi = JSON.parse(process.env.ABI)
const chain = {
  id: Number(process.env.CHAIN_ID),
  name: 'session',
  nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [url], webSocket: [url.replace('http', 'ws')] } },
}
const account = privateKeyToAccount(process.env.PRIVATE_KEY)

async function main() {
  const client = createPublicClient({ chain, transport: http() })
  const listener = createPublicClient({ chain, transport: webSocket() })
  const wallet = createWalletClient({ chain, account, transport: http() })
  const heads = []
  const noted = []
  const errors = []
  await listener.transport.subscribe({
    params: ['newHeads'],
    onData: ({ result }) => heads.push(Number(result.number)),
    onError: (error) => errors.push(error),
  })
  await listener.transport.subscribe({
    params: ['logs', { address }],
    onData: ({ result }) => result.topics.length === 3 && noted.push(BigInt(result.topics[2]).toString()),
    onError: (error) => errors.push(error),
  })

  const { request } = await client.simulateContract({ account, address, abi, functionName: 'note', args: [9n, '0x1234'] })
  const hash = await wallet.writeContract(request)
  const receipt = await client.waitForTransactionReceipt({ hash, pollingInterval: 20 })
  const counter = await client.readContract({ address, abi, functionName: 'counter' })
  const event = parseAbiItem('event Noted(address indexed by, uint256 indexed key, bytes data)')
  const logs = await client.getLogs({ address, event, args: { key: 9n }, fromBlock: 0n })
  const revert = await client.readContract({ address, abi, functionName: 'failText' }).catch((error) => error.message)
  const tooLow = await wallet
    .sendTransaction({ to: address, nonce: 0, gas: 100000n, maxFeePerGas: 0n, maxPriorityFeePerGas: 0n })
    .catch((error) => error.cause.name)
  const first = await client.getBlock({ blockNumber: 1n, includeTransactions: true })
  await client.getBlock({ blockTag: 'pending' })
  await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] })
  await client.getProof({ address, storageKeys: [`0x${'0'.repeat(64)}`] })
  while (heads.length < 1 || noted.length < 1) {
    if (errors.length > 0) throw errors[0]
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  console.log(
    JSON.stringify({
      hash,
      status: receipt.status,
      counter: counter.toString(),
      heads,
      noted,
      logs: logs.length,
      revert,
      tooLow,
      systemType: first.transactions[0].typeHex ?? first.transactions[0].type,
    }),
  )
  process.exit(0)
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
