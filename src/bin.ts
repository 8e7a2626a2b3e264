#!/usr/bin/env node
import { createRequire } from 'node:module'

/*
 * The command of the package. What only the service stands on is not installed with it, since most hosts attach: so
 * nothing of that is imported before we know that it is there.
 */

interface Manifest { peerDependenciesMeta: Record<string, object>, devDependencies: Record<string, string> }

/** The versions that the service was tested with are those of the repository. */
const { peerDependenciesMeta, devDependencies } = createRequire(import.meta.url)('../../package.json') as Manifest

function isInstalled (name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

const missing = Object.keys(peerDependenciesMeta).filter((name) => !isInstalled(name))
if (missing.length > 0) {
  console.error(`The service stands on more than what attaches to a host: npm install ${missing.map((name) => `${name}@${devDependencies[name]}`).join(' ')}`)
  process.exitCode = 1
} else {
  await import('./cli.js')
}
