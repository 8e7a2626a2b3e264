import type { ErrorObject } from 'ajv'
import type { Hint } from '../src/core/messages/hints/hint.js'
import type { RefusalDetails } from '../src/core/refusals.js'
import { shortened } from '../src/core/texts.js'

const typeNames: Readonly<Record<string, Hint>> = {
  string: { key: 'text' },
  integer: { key: 'wholeNumber' },
  number: { key: 'number' },
  boolean: { key: 'trueOrFalse' },
  object: { key: 'object' },
  array: { key: 'list' },
  null: { key: 'nothing' }
}

/** Length of a field's name that a client made up. */
const LONGEST_NAME = 64

/** Returns the field that does not follow its schema, and a hint. The body or the query as a whole has no field. */
export function fieldFault ({ keyword, instancePath, params, message = '' }: ErrorObject, part: string): RefusalDetails {
  const { missingProperty, additionalProperty, type, limit = 0, allowedValues = [] } = params as Partial<Params>
  const inner = missingProperty ?? (additionalProperty && shortened(additionalProperty, LONGEST_NAME))
  const path = [...instancePath.split('/').slice(1).map(unescaped), ...(inner === undefined ? [] : [inner])]
  const field = path.join('.')
  const subject = field === '' ? { key: partNames[part] ?? 'body' } as const : field
  const filled = (key: Hint['key'], values: Hint['values'] = {}): Hint => ({ key, values: { subject, ...values } })
  const hints: Readonly<Record<string, Hint>> = {
    required: filled('isMissing'),
    additionalProperties: filled('isUnknown'),
    type: filled('mustBe', { values: [type ?? []].flat().map((one) => typeNames[one] ?? one) }),
    minLength: limit === 1 ? filled('mustNotBeEmpty') : filled('leastCharacters', { limit }),
    maxLength: filled('mostCharacters', { limit }),
    minimum: filled('least', { limit }),
    maximum: filled('most', { limit }),
    minItems: filled('leastEntries', { limit }),
    maxItems: filled('mostEntries', { limit }),
    minProperties: filled('leastFields'),
    pattern: filled('wrongForm'),
    enum: filled('mustBe', { values: allowedValues.map(String) })
  }
  const hint = hints[keyword] ?? { key: 'verbatim', values: { text: `${field} ${message}.` } }
  return field === '' ? { hint } : { field, hint }
}

interface Params {
  missingProperty: string
  additionalProperty: string
  type: string | string[]
  limit: number
  allowedValues: unknown[]
}

const partNames: Readonly<Record<string, 'query' | 'path'>> = { querystring: 'query', params: 'path' }

/** RFC 6901. */
const unescaped = (token: string): string => token.replaceAll('~1', '/').replaceAll('~0', '~')
