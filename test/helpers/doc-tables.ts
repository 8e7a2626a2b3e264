import { readFile, writeFile } from 'node:fs/promises'
import type { TSchema } from '@sinclair/typebox'
import { settings } from '../../src/config/config.js'
import { eventKinds } from '../../src/events/kinds.js'
import { refusals, type RefusalCode } from '../../src/core/refusals.js'
import { optionRows } from './doc-options.js'

/** Parts of an OpenAPI document that the generated tables show. */
export interface OpenApi {
  security?: object[]
  paths: Record<string, Record<string, Operation>>
  components: { responses: Record<string, Response> }
}

interface Operation {
  summary: string
  deprecated?: boolean
  security?: object[]
  responses: Record<string, { $ref?: string }>
}

interface Response { content?: Record<string, { examples?: Record<string, object> }> }

/** Refusals of every operation: left out of the rows. */
const everywhere = new Set<RefusalCode>([
  'REQUEST_INVALID', 'RATE_LIMITED', 'INTERNAL_ERROR', 'UNAVAILABLE', 'BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED',
  'REQUEST_TIMEOUT', 'HEADERS_TOO_LARGE', 'METHOD_NOT_ALLOWED', 'TOKEN_INVALID', 'SESSION_ENDED'
])

/** Generated tables by page, then by the name of their place: `<!-- name -->` to `<!-- /name -->`. */
export function docTables (openApi: OpenApi): Record<string, Record<string, string>> {
  return {
    'docs/api.md': { operations: operations(openApi) },
    'docs/settings.md': { settings: settingsTable() },
    'docs/errors.md': { refusals: refusalsTable() },
    'docs/webhooks.md': {
      kinds: table(['kind', 'meaning'], Object.entries(eventKinds).map(([kind, meaning]) => [`\`${kind}\``, meaning]))
    },
    'docs/attach.md': { options: table(['option', 'default', 'meaning'], optionRows()) }
  }
}

/** Returns the text with each table in its place. @throws if a place is missing */
export function fillTables (text: string, tables: Record<string, string>): string {
  for (const [name, table] of Object.entries(tables)) {
    const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`]
    const from = text.indexOf(begin)
    const to = text.indexOf(end)
    if (from < 0 || to < from) throw new Error(`The page has no place for the table "${name}"`)
    text = text.slice(0, from) + begin + table + text.slice(to)
  }
  return text
}

/** Writes each table into its place in a file. */
export async function fillIn (path: string, tables: Record<string, string>): Promise<void> {
  await writeFile(path, fillTables(await readFile(path, 'utf8'), tables))
}

function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function operations ({ paths, components, security: everywhereNeeded = [] }: OpenApi): string {
  const rows = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => {
    const { summary, security = everywhereNeeded, deprecated } = operation
    return [
      `\`${method.toUpperCase()} ${path}\``,
      neededBy(security),
      deprecated === true ? `${summary} (deprecated)` : summary,
      codesOf(operation, components.responses).map((code) => `\`${code}\``).join(', ')
    ]
  }))
  return table(['operation', 'needs', 'effect', 'its own refusals'], rows)
}

function neededBy ([requirement]: readonly object[]): string {
  if (requirement === undefined) return '–'
  return 'clientKey' in requirement ? 'a key of `CLIENT_KEYS`' : 'access token'
}

function codesOf ({ responses }: Operation, shared: Record<string, Response>): RefusalCode[] {
  return Object.values(responses)
    .flatMap(({ $ref }) => Object.values(shared[$ref?.split('/').at(-1) ?? '']?.content ?? {}))
    .flatMap(({ examples = {} }) => Object.keys(examples) as RefusalCode[])
    .filter((code) => !everywhere.has(code))
}

/** `.env.example`: what stands above its first setting, and every setting of the schema. */
export function envExample (before: string): string {
  const [head = ''] = before.split('\n\n')
  const entries = Object.entries<TSchema>(settings.properties).map(([name, { description, default: initial = '' }]) =>
    `# ${description}\n# ${name}=${[initial].flat().join(',')}`)
  return [head, ...entries].join('\n\n') + '\n'
}

function settingsTable (): string {
  return table(['setting', 'default', 'meaning'], Object.entries<TSchema>(settings.properties).map(([name, schema]) => {
    const given = [schema.default ?? []].flat().join(',')
    const range = schema.type === 'integer' ? ` From ${schema.minimum} to ${schema.maximum}.` : ''
    return [`\`${name}\``, given === '' ? '' : `\`${given}\``, `${schema.description}${range}`]
  }))
}

function refusalsTable (): string {
  return table(
    ['`code`', 'status', '`message`, now'],
    Object.entries(refusals).map(([code, [status, message]]) => [`\`${code}\``, String(status), message])
  )
}
