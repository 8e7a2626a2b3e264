import { Ajv } from 'ajv'
import fastJson from 'fast-json-stringify'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { FastifySerializerCompiler } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'
import { asRefusal, errorBody } from '../routes/error-body.js'
import { fieldFault } from './field-fault.js'

/**
 * Strict on purpose: Fastify's own settings convert `123456` and `["123456"]` to a code in spite of the pattern, and drop
 * unknown fields. A host's settings may be looser still, so our routes have their own.
 */
const ajv = new Ajv({
  coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false, strict: false, validateFormats: false
})

/** Compiles at the first request instead of at start: a process seldom needs all schemas, which take 0.3 s and 8 MB together. */
function onFirstUse<T> (make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

const validatorCompiler: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  const validator = onFirstUse(() => ajv.compile(schema))
  const read = readers[httpPart ?? '']
  return (given: unknown) => {
    const validate = validator()
    const value = read === undefined ? given : read(schema, given as Texts)
    if (validate(value)) return { value }
    const refusal = new Refusal('REQUEST_INVALID', fieldFault(validate.errors![0]!, httpPart ?? 'body'))
    return { error: Object.assign(refusal, { validation: validate.errors }) }
  }
}

type Texts = Readonly<Record<string, unknown>>

/**
 * Queries and paths are text. A decimal number becomes one where the schema has an integer, any other text stays and is
 * refused. Ids are compared as text, and the stored ones are in lower case.
 */
const readers: Readonly<Record<string, (schema: object, given: Texts) => Texts>> = {
  querystring: (schema, query) => mapFields(schema, query, ({ type }, value) =>
    type === 'integer' && typeof value === 'string' && /^(0|[1-9][0-9]{0,8})$/.test(value) ? Number(value) : value),
  params: (schema, params) => mapFields(schema, params, ({ format }, value) =>
    format === 'uuid' && typeof value === 'string' ? value.toLowerCase() : value)
}

function mapFields (schema: object, given: Texts, change: (property: { type?: string, format?: string }, value: unknown) => unknown) {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string, format?: string }> }
  return Object.fromEntries(Object.entries(given).map(([name, value]) =>
    [name, Object.hasOwn(properties, name) ? change(properties[name]!, value) : value]))
}

/** Errors keep the shape of the app's error handler: our schema would turn a host's error into a 500. */
const serializerCompiler: FastifySerializerCompiler<object> = ({ schema, httpStatus }) => {
  if (/^([45]|default$)/.test(httpStatus ?? '')) return errorText
  const serializer = onFirstUse(() => fastJson(schema))
  return (payload: unknown) => serializer()(payload)
}

/**
 * Returns the text of an error. Fastify's own error handler passes an object with the error as its prototype, of which JSON has
 * no field. A refusal has its details, as in the service. Details from PostgreSQL or Node are only for the log.
 */
function errorText (payload: unknown): string {
  if (!(payload instanceof Error)) return JSON.stringify(payload)
  if (payload instanceof Refusal) return JSON.stringify(errorBody(payload.code, payload.details))
  const { statusCode = 500, code, error, message } = payload as Error & { statusCode?: number, code?: string, error?: string }
  if (statusCode < 500) return JSON.stringify({ statusCode, code, error, message })
  return JSON.stringify({ ...errorBody(asRefusal(payload).code), statusCode, error })
}

/** Validates exactly as the OpenAPI document says. */
async function schemas (scope: FastifyInstance): Promise<void> {
  scope.setValidatorCompiler(validatorCompiler)
  scope.setSerializerCompiler(serializerCompiler)
}

export default fp(schemas, { name: 'schemas', fastify: '5.x' })
