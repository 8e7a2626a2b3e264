/**
 * Another revision of this repository as a contestant: built from git in a folder of its own, with its own dependencies, started by its
 * own bench kit on its own database.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Stores } from '../helpers/stores.js'
import type { Owner } from '../helpers/teardown.js'
import type { Stage } from './stage.js'

const ROOT = join(import.meta.dirname, '../../..')

/** Parts of the stage that a revision since fe11fdd has, with the same meaning. */
export type FormerStage = Pick<Stage, 'put' | 'issue' | 'service' | 'settings'> & { name: string }

/** Builds a revision, unless that was done before. @returns its folder */
export async function buildRevision (revision: string): Promise<string> {
  const id = execFileSync('git', ['rev-parse', '--short=12', `${revision}^{commit}`], { cwd: ROOT, encoding: 'utf8' }).trim()
  const folder = join(ROOT, 'build/former', id)
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  console.error(`building ${revision} in ${folder}`)
  const archive = execFileSync('git', ['archive', id], { cwd: ROOT, maxBuffer: 2 ** 30 })
  execFileSync('tar', ['-x'], { cwd: unfinished, input: archive })
  execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: unfinished, stdio: ['ignore', 'ignore', 'inherit'] })
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: unfinished, stdio: ['ignore', 'ignore', 'inherit'] })
  await rename(unfinished, folder)
  return folder
}

/** @param folder of the built revision */
export async function makeFormerStage (owner: Owner, stores: Stores, work: string, revision: string, folder: string): Promise<FormerStage> {
  const kit = await import(pathToFileURL(join(folder, 'build/test/bench/stage.js')).href) as {
    makeStage (owner: Owner, stores: Stores, work: string): Promise<Stage>
  }
  const { put, issue, service, settings } = await kit.makeStage(owner, stores, `${work}-${revision}`)
  return { name: revision, put, issue, service, settings }
}
