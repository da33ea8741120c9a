// Makes npm's wasm build of solc look like the native compiler, as far as forge needs it:
// --version, and --standard-json with --base-path and --include-path.
const fs = require('fs')
const path = require('path')

const solc = require(process.env.EXCLAVE_SOLC_PACKAGE)
const args = process.argv.slice(2)

if (args.includes('--version')) {
  // forge parses the native spelling only.
  const version = solc.version().replace('.Emscripten.clang', '.Linux.g++')
  console.log('solc, the solidity compiler commandline interface\nVersion: ' + version)
  process.exit(0)
}

let basePath = '.'
const includePaths = []
for (let i = 0; i < args.length; i++) {
  if (args[i] === '--base-path') basePath = args[++i]
  else if (args[i] === '--include-path') includePaths.push(args[++i])
}

// Sources travel through the read callback: a large standard-JSON string overflows the wasm stack.
const input = JSON.parse(fs.readFileSync(0, 'utf8'))
const inMemory = new Map()
for (const [name, source] of Object.entries(input.sources)) {
  if (source.content === undefined) continue
  inMemory.set('mem:' + name, source.content)
  input.sources[name] = { urls: ['mem:' + name] }
}

function readSource(name) {
  if (inMemory.has(name)) return { contents: inMemory.get(name) }
  for (const folder of [basePath, ...includePaths, '']) {
    try {
      return { contents: fs.readFileSync(path.join(folder, name), 'utf8') }
    } catch {
      // Try the next folder.
    }
  }
  return { error: 'File not found: ' + name }
}

process.stdout.write(solc.compile(JSON.stringify(input), { import: readSource }))
