import { randomUUID } from 'node:crypto'
import { Ajv, type ValidateFunction } from 'ajv'
import type { App } from './app.js'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export type Schema = Record<string, unknown> & { $ref?: string, examples?: unknown[] }
interface Content { schema?: Schema, examples?: Record<string, unknown> }
interface Described { description?: string, content?: Record<string, Content>, headers?: Record<string, unknown>, $ref?: string }

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
  /** True if the document requires credentials of a user: a token, or a host's cookie. The key of a back end is none. */
  isGuarded: boolean
  /** Example body in the document; undefined if there is no body. */
  body: Record<string, unknown> | undefined
  /** Its references are resolved in `document`. */
  object: OperationObject
  document: Document
}

/** Parts of the document that the tests read. */
export interface Document {
  openapi: string
  security?: Array<Record<string, string[]>>
  paths: Record<string, Record<string, OperationObject>>
  components: { schemas: Record<string, Schema>, responses: Record<string, Described>, examples: Record<string, { value: unknown }> }
}

/** Returns the places of objects that a part of a document describes in place instead of by a reference. */
export function inlineObjects (part: unknown, place = ''): string[] {
  if (typeof part !== 'object' || part === null) return []
  const here = [(part as Schema)['type']].flat().includes('object') ? [place] : []
  return [...here, ...Object.entries(part).flatMap(([key, value]) => inlineObjects(value, `${place}/${key}`))]
}

/** Returns the app's OpenAPI document. */
export function documentOf (app: App): Document {
  return app.swagger() as unknown as Document
}

/** Returns the part of a document that `$ref` leads to, or the part itself. */
export function follow<Part extends { $ref?: string }> (document: object, part: Part): Part {
  if (part.$ref === undefined) return part
  return part.$ref.slice(2).split('/').reduce<unknown>((of, name) => (of as Record<string, unknown>)[name], document) as Part
}

/** Returns all operations of the app's OpenAPI document, so that new ones are included. */
export function operationsOf (app: App): Operation[] {
  const document = documentOf(app)
  return Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).map(([method, object]) => ({
    id: object.operationId,
    method: method.toUpperCase() as Method,
    path,
    url: path.replace(/\{[^}]+\}/g, () => randomUUID()),
    isGuarded: (object.security ?? document.security ?? []).some((scheme) => !('clientKey' in scheme)),
    body: exampleOf(document, object.requestBody?.content?.['application/json']?.schema) as Record<string, unknown> | undefined,
    object: {
      ...object,
      responses: Object.fromEntries(
        Object.entries(object.responses).map(([status, response]) => [status, follow(document, response)])
      )
    },
    document
  })))
}

/** Returns the example of a schema; undefined if it has none. */
export function exampleOf (document: Document, schema: Schema | undefined): unknown {
  return schema === undefined ? undefined : follow(document, schema).examples?.[0]
}

interface Validators { ajv: Ajv, bySchema: Map<string, ValidateFunction> }
const validators = new WeakMap<Document, Validators>()

/** Returns the validator of a schema of the document. Ajv itself knows a schema again by its object alone. */
export function validatorOf (document: Document, schema: Schema): ValidateFunction {
  const { ajv, bySchema } = validators.get(document) ??
    { ajv: new Ajv({ strict: false, validateFormats: false, allErrors: true, schemas: { document } }), bySchema: new Map() }
  validators.set(document, { ajv, bySchema })
  const sought = schema.$ref === undefined ? schema : { $ref: `document${schema.$ref}` }
  const text = JSON.stringify(sought)
  const validate = bySchema.get(text) ?? ajv.compile(sought)
  bySchema.set(text, validate)
  return validate
}

/** Compares an answer with the document. Returns the difference; null if it conforms. */
export function undocumented ({ id, object, document }: Operation, answer: { statusCode: number, body: string }): string | null {
  const described = object.responses[answer.statusCode] ?? (answer.statusCode < 400 ? undefined : object.responses['default'])
  if (described === undefined) return `${id} answers ${answer.statusCode}, which is not documented: ${answer.body}`
  const schema = described.content?.['application/json']?.schema
  if (schema === undefined) return null
  const code = answer.statusCode < 400 ? undefined : (JSON.parse(answer.body) as { code?: string }).code
  if (code !== undefined && described.content!['application/json']!.examples?.[code] === undefined && schema.$ref === undefined) {
    return `${id} ${answer.statusCode} answers ${code}, which is not documented`
  }
  const validate = validatorOf(document, inDocument(schema))
  return validate(JSON.parse(answer.body)) ? null : `${id} ${answer.statusCode}: ${JSON.stringify(validate.errors)}`
}

/** Makes the references of a schema that stands outside `components.schemas` lead into the document. */
function inDocument (schema: Schema): Schema {
  if (schema.$ref !== undefined) return schema
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#', '"$ref":"document#')) as Schema
}
