#!/usr/bin/env node
import { createRequire } from 'node:module'
import { guardOutput } from './commands/output.js'

/*
 * The command of the package. What only the service stands on is not installed with it, since most hosts attach: so
 * nothing of that is imported before we know that it is there.
 */

interface Manifest { peerDependenciesMeta: Record<string, object>, devDependencies: Record<string, string> }

/** The versions that the service was tested with are those of the repository. */
const { peerDependenciesMeta, devDependencies } = createRequire(import.meta.url)('../../package.json') as Manifest
/** All that is needed for a host's tables. */
const FOR_TABLES = ['pg']

guardOutput(process)
const [, , command, ...args] = process.argv
const missing = (command === 'tables' ? FOR_TABLES : Object.keys(peerDependenciesMeta)).filter((name) => !isInstalled(name))
if (missing.length > 0) {
  console.error(`Not everything that this stands on is installed: npm install ${missing.map((name) => `${name}@${devDependencies[name]}`).join(' ')}`)
  process.exitCode = 1
} else if (command === 'tables') {
  const { tablesCommand } = await import('./commands/tables.js')
  process.exitCode = await tablesCommand(args, process.env)
} else {
  const { run } = await import('./commands/program.js')
  await run()
}

function isInstalled (name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}
