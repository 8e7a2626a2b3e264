#!/usr/bin/env node
import { createRequire } from 'node:module'
import { guardOutput } from './commands/output.js'

/*
 * The command of the package. Dependencies of the service alone are optional, since most hosts attach. So each one is looked
 * for before any module that needs it is imported.
 */

interface Manifest { peerDependenciesMeta: Record<string, object>, devDependencies: Record<string, string> }

/** The service was tested with the versions in `devDependencies`. */
const { peerDependenciesMeta, devDependencies } = createRequire(import.meta.url)('../../package.json') as Manifest
/** Dependencies of `countersign tables`. */
const FOR_TABLES = ['pg']

guardOutput(process)
const [, , command, ...args] = process.argv
const missing = (command === 'tables' ? FOR_TABLES : Object.keys(peerDependenciesMeta)).filter((name) => !isInstalled(name))
if (missing.length > 0) {
  const wanted = missing.map((name) => `${name}@${devDependencies[name]}`).join(' ')
  console.error(`Not everything that this stands on is installed: npm install ${wanted}`)
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
