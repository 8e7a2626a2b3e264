import { createHash } from 'node:crypto'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import type { Owner } from './teardown.js'

const run = promisify(execFile)
const TAR_BLOCK_BYTES = 512

/**
 * Serves tarballs as an npm registry does, and sends npm to its usual registry for all other packages.
 *
 * @param tarballs paths
 * @returns its address
 */
export async function registryWith (t: Owner, tarballs: readonly string[]): Promise<string> {
  const { stdout } = await run('npm', ['config', 'get', 'registry'])
  const usual = stdout.trim().replace(/\/$/, '')
  const packages = new Map(await Promise.all(tarballs.map(async (path) => {
    const bytes = await readFile(path)
    const manifest = manifestOf(bytes)
    return [manifest.name, { bytes, manifest }] as const
  })))
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '/')
    const [name = '', file] = path.slice(1).split('/-/')
    const found = packages.get(name)
    if (found === undefined) response.writeHead(302, { location: usual + request.url }).end()
    else if (file !== undefined) response.end(found.bytes)
    else {
      const { version } = found.manifest
      const integrity = `sha512-${createHash('sha512').update(found.bytes).digest('base64')}`
      const dist = { tarball: `http://${request.headers.host}/${name}/-/${name}-${version}.tgz`, integrity }
      response.setHeader('content-type', 'application/json').end(JSON.stringify({
        name, 'dist-tags': { latest: version }, versions: { [version]: { ...found.manifest, dist } }
      }))
    }
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => new Promise((resolve) => { server.close(resolve); server.closeAllConnections() }))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Manifest { name: string, version: string }

/** Reads package.json from a tarball. @throws {Error} if it has none */
function manifestOf (tarball: Buffer): Manifest {
  const tar = gunzipSync(tarball)
  const text = (from: number, to: number) => tar.toString('latin1', from, to).replace(/\0.*$/s, '').trim()
  for (let at = 0; at + TAR_BLOCK_BYTES <= tar.length;) {
    const content = at + TAR_BLOCK_BYTES
    const bytes = Number.parseInt(text(at + 124, at + 136), 8) || 0
    if (text(at, at + 100) === 'package/package.json') return JSON.parse(tar.toString('utf8', content, content + bytes)) as Manifest
    at = content + Math.ceil(bytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES
  }
  throw new Error('A tarball without package.json')
}
