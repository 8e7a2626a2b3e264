import type { ErrorObject } from 'ajv'
import type { RefusalDetails } from '../src/core/refusals.js'

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null'
}

/** Length of a field's name that a client made up. */
const LONGEST_NAME = 64

/** Returns the field that does not follow its schema, and the fault in words. The body or the query as a whole has no field. */
export function fieldFault ({ keyword, instancePath, params, message = '' }: ErrorObject, part: string): RefusalDetails {
  const { missingProperty, additionalProperty, type, limit, allowedValues = [] } = params as Partial<Params>
  const inner = missingProperty ?? additionalProperty?.slice(0, LONGEST_NAME)
  const path = [...instancePath.split('/').slice(1).map(unescaped), ...(inner === undefined ? [] : [inner])]
  const field = path.join('.')
  const words: Readonly<Record<string, string>> = {
    required: 'is missing',
    additionalProperties: 'is no field of this operation',
    type: `must be ${[type ?? []].flat().map((one) => typeNames[one] ?? one).join(' or ')}`,
    minLength: limit === 1 ? 'must not be empty' : `must have at least ${limit} characters`,
    maxLength: `must have at most ${limit} characters`,
    minimum: `must be at least ${limit}`,
    maximum: `must be at most ${limit}`,
    minItems: `must have at least ${limit} entries`,
    maxItems: `must have at most ${limit} entries`,
    minProperties: 'must have at least one field',
    pattern: 'has characters or a form that are not accepted here',
    enum: `must be ${allowedValues.join(' or ')}`
  }
  const fault = words[keyword] ?? message
  return field === '' ? { hint: `The ${partNames[part] ?? part} ${fault}.` } : { field, hint: `${field} ${fault}.` }
}

interface Params {
  missingProperty: string
  additionalProperty: string
  type: string | string[]
  limit: number
  allowedValues: unknown[]
}

const partNames: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' }

/** RFC 6901. */
const unescaped = (token: string): string => token.replaceAll('~1', '/').replaceAll('~0', '~')
