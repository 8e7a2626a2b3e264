import { Ajv } from 'ajv'
import fastJson from 'fast-json-stringify'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { FastifySerializerCompiler } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'
import { asRefusal, errorBody } from './errors.js'

/**
 * Strict on purpose: Fastify's own settings turn `123456` and `["123456"]` into a code, whatever the pattern says,
 * and drop unknown fields. A host's settings may be laxer still, so our routes bring these along.
 */
const ajv = new Ajv({
  coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false, strict: false, validateFormats: false
})

/**
 * When the first request asks, not at start: a process seldom needs all that its document describes, which together is
 * three tenths of a second and eight megabytes.
 */
function onFirstUse<T> (make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}

const validatorCompiler: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  const validator = onFirstUse(() => ajv.compile(schema))
  return (value: unknown) => {
    const validate = validator()
    if (validate(value)) return { value }
    const [first] = validate.errors!
    const { additionalProperty } = first!.params as { additionalProperty?: string }
    const what = additionalProperty === undefined ? first!.message : `has an unknown field "${additionalProperty.slice(0, 64)}"`
    const where = first!.instancePath.slice(1).replaceAll('/', '.')
    return {
      error: Object.assign(new Error(`${where === '' ? httpPart : `${httpPart}.${where}`} ${what}`), {
        statusCode: 400, code: 'REQUEST_INVALID', validation: validate.errors
      })
    }
  }
}

/** Errors are as the app's error handler makes them, ours or a host's: held against our schema, a host's would become a 500. */
const serializerCompiler: FastifySerializerCompiler<object> = ({ schema, httpStatus }) => {
  if (/^[45]/.test(httpStatus ?? '')) return errorText
  const serializer = onFirstUse(() => fastJson(schema))
  return (payload: unknown) => serializer()(payload)
}

/**
 * Fastify's own error handler gives the error itself to whoever serializes, and JSON sees none of an error's fields. What
 * PostgreSQL or Node says of a fault is for the log, which has it already.
 */
function errorText (payload: unknown): string {
  if (!(payload instanceof Error)) return JSON.stringify(payload)
  const { statusCode = 500, code, error, message } = payload as Error & { statusCode?: number, code?: string, error?: string }
  if (statusCode < 500 || payload instanceof Refusal) return JSON.stringify({ statusCode, code, error, message })
  return JSON.stringify({ ...errorBody(asRefusal(payload).code), statusCode, error })
}

/** What is checked is what the OpenAPI document says, to the letter. */
async function schemas (scope: FastifyInstance): Promise<void> {
  scope.setValidatorCompiler(validatorCompiler)
  scope.setSerializerCompiler(serializerCompiler)
}

export default fp(schemas, { name: 'schemas', fastify: '5.x' })
