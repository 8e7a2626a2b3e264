import { Ajv } from 'ajv'
import fastJson from 'fast-json-stringify'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import type { FastifySerializerCompiler } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'

/**
 * Strict on purpose: Fastify's own settings turn `123456` and `["123456"]` into a code, whatever the pattern says,
 * and drop unknown fields. A host's settings may be laxer still, so our routes bring these along.
 */
const ajv = new Ajv({ coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false, strict: false, validateFormats: false })

const validatorCompiler: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  const validate = ajv.compile(schema)
  return (value: unknown) => {
    if (validate(value)) return { value }
    const [first] = validate.errors!
    const { additionalProperty } = first!.params as { additionalProperty?: string }
    const what = additionalProperty === undefined ? first!.message : `has an unknown field "${additionalProperty.slice(0, 64)}"`
    const where = first!.instancePath.slice(1).replaceAll('/', '.')
    return { error: Object.assign(new Error(`${where === '' ? httpPart : `${httpPart}.${where}`} ${what}`), { statusCode: 400, code: 'REQUEST_INVALID', validation: validate.errors }) }
  }
}

/** Errors are as the app's error handler makes them, ours or a host's: held against our schema, a host's would become a 500. */
const serializerCompiler: FastifySerializerCompiler<object> = ({ schema, httpStatus }) =>
  /^[45]/.test(httpStatus ?? '') ? JSON.stringify : fastJson(schema)

/** What is checked is what the OpenAPI document says, to the letter. */
async function schemas (scope: FastifyInstance): Promise<void> {
  scope.setValidatorCompiler(validatorCompiler)
  scope.setSerializerCompiler(serializerCompiler)
}

export default fp(schemas, { name: 'schemas', fastify: '5.x' })
