import { randomUUID } from 'node:crypto'
import { Ajv } from 'ajv'
import type { App } from './app.js'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

interface Content { schema?: Record<string, unknown>, example?: unknown }
interface Described { description?: string, content?: Record<string, Content> }

/** Fields of an OpenAPI operation object that the tests read. */
export interface OperationObject {
  operationId: string
  summary?: string
  tags?: string[]
  deprecated?: boolean
  security?: Array<Record<string, string[]>>
  requestBody?: Described & { required?: boolean }
  responses: Record<string, Described>
}

export interface Operation {
  id: string
  method: Method
  /** Path with an unused id in place of each parameter. */
  url: string
  /** Path in the document. */
  path: string
  /** True if the document requires an access token. */
  isGuarded: boolean
  /** Example body in the document; undefined if there is no body. */
  body: Record<string, unknown> | undefined
  object: OperationObject
}

interface Document { paths: Record<string, Record<string, OperationObject>> }

/** Returns all operations of the app's OpenAPI document, so that new ones are included. */
export function operationsOf (app: App): Operation[] {
  const { paths } = app.swagger() as unknown as Document
  return Object.entries(paths).flatMap(([path, item]) => Object.entries(item).map(([method, object]) => ({
    id: object.operationId,
    method: method.toUpperCase() as Method,
    path,
    url: path.replace(/\{[^}]+\}/g, () => randomUUID()),
    isGuarded: (object.security ?? []).length > 0,
    body: object.requestBody?.content?.['application/json']?.example as Record<string, unknown> | undefined,
    object
  })))
}

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true })

/** Compares an answer with the document. Returns the difference; null if it conforms. */
export function undocumented ({ id, object }: Operation, answer: { statusCode: number, body: string }): string | null {
  const described = object.responses[answer.statusCode]
  if (described === undefined) return `${id} answers ${answer.statusCode}, which is not documented: ${answer.body}`
  const schema = described.content?.['application/json']?.schema
  if (schema === undefined) return null
  const validate = ajv.compile(schema)
  return validate(JSON.parse(answer.body)) ? null : `${id} ${answer.statusCode}: ${ajv.errorsText(validate.errors)}`
}
