/** Finds changes of the OpenAPI document that break clients: https://spec.openapis.org/oas/v3.1.0. */
export interface ApiDocument {
  security?: unknown[]
  components: { schemas: Record<string, ApiSchema> } & Record<string, Record<string, unknown>>
  paths: Record<string, Record<string, ApiOperation>>
}
interface ApiOperation {
  operationId?: string
  security?: unknown[]
  parameters?: ApiParameter[]
  requestBody?: { required?: boolean, content: Record<string, { schema?: ApiSchema }> }
  responses: Record<string, ApiResponse>
}
interface ApiParameter { $ref?: string, name?: string, in?: string, required?: boolean, schema?: ApiSchema }
interface ApiResponse { $ref?: string, headers?: Record<string, unknown>, content?: Record<string, { schema?: ApiSchema }> }
type ApiSchema = { [name: string]: unknown, $ref?: string }

/** Direction of a value: clients send it, or the service does. */
type Way = 'sent' | 'answered'
type Say = (change: string) => void

/** Returns a sentence for each change from `before` to `after` that breaks a client of `before`; empty if there is none. */
export function breakingChanges (before: ApiDocument, after: ApiDocument): string[] {
  const found: string[] = []
  for (const name of Object.keys(before.components.schemas)) {
    if (!(name in after.components.schemas)) found.push(`the type ${name} is gone`)
  }
  for (const [path, item] of Object.entries(before.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const place = `${method.toUpperCase()} ${path}`
      const next = after.paths[path]?.[method]
      if (next === undefined) found.push(`${place} is gone`)
      else compareOperations([before, operation], [after, next], (change) => found.push(`${place}: ${change}`))
    }
  }
  return found
}

type Side = readonly [document: ApiDocument, operation: ApiOperation]

function compareOperations ([before, old]: Side, [after, next]: Side, say: Say): void {
  if (old.operationId !== next.operationId) say(`operationId is ${next.operationId}`)
  const needsToken = (document: ApiDocument, { security = document.security ?? [] }: ApiOperation) => security.length > 0
  if (!needsToken(before, old) && needsToken(after, next)) say('security was added')
  compareParameters([before, old], [after, next], say)

  const [body, nextBody] = [old.requestBody, next.requestBody]
  if (nextBody?.required === true && body?.required !== true) say('the body is required')
  if (body !== undefined && nextBody === undefined) say('takes no body any more')
  for (const [type, { schema }] of Object.entries(body?.content ?? {})) {
    const media = nextBody?.content[type]
    if (nextBody !== undefined && media === undefined) say(`takes no ${type} any more`)
    if (media !== undefined) compareSchemas('sent', 'body', [before, schema], [after, media.schema], say)
  }
  for (const [status, found] of Object.entries(old.responses)) {
    if (!status.startsWith('2')) continue
    const nextFound = next.responses[status]
    if (nextFound === undefined) say(`${status} is gone`)
    else compareResponses(status, [before, followed(before, found)], [after, followed(after, nextFound)], say)
  }
}

function compareParameters ([before, old]: Side, [after, next]: Side, say: Say): void {
  const named = (document: ApiDocument, { parameters = [] }: ApiOperation) =>
    new Map(parameters.map((one) => followed(document, one)).map((one) => [`${one.in} ${one.name}`, one]))
  const [known, nextKnown] = [named(before, old), named(after, next)]
  for (const [name, { required = false, schema }] of known) {
    const parameter = nextKnown.get(name)
    if (parameter === undefined) {
      say(`parameter ${name} is gone`)
      continue
    }
    if (!required && parameter.required === true) say(`parameter ${name} is required`)
    compareSchemas('sent', name, [before, schema], [after, parameter.schema], say)
  }
  for (const [name, { required }] of nextKnown) {
    if (required === true && !known.has(name)) say(`parameter ${name} is new and required`)
  }
}

function compareResponses (
  status: string, [before, old]: readonly [ApiDocument, ApiResponse], [after, next]: readonly [ApiDocument, ApiResponse], say: Say
): void {
  for (const name of Object.keys(old.headers ?? {})) if (!(name in (next.headers ?? {}))) say(`${status}: header ${name} is gone`)
  for (const [type, { schema }] of Object.entries(old.content ?? {})) {
    const media = next.content?.[type]
    if (media === undefined) say(`${status}: ${type} is gone`)
    else compareSchemas('answered', status, [before, schema], [after, media.schema], say)
  }
}

type Typed = readonly [document: ApiDocument, schema: ApiSchema | undefined]

/** Names of limits, and whether a larger value accepts less. */
const limits: Readonly<Record<string, boolean>> = {
  minLength: true, minimum: true, minItems: true, minProperties: true, maxLength: false, maximum: false, maxItems: false
}

function compareSchemas (way: Way, place: string, [before, given]: Typed, [after, nextGiven]: Typed, say: Say, depth = 0): void {
  // No schema of ours is that deep: a schema that contains itself ends here.
  if (given === undefined || nextGiven === undefined || depth > 20) return
  const [old, next] = [followed(before, given), followed(after, nextGiven)]
  const types = (schema: ApiSchema) => [schema['type'] ?? []].flat() as string[]
  const [narrow, wide] = way === 'sent' ? [types(next), types(old)] : [types(old), types(next)]
  if (narrow.length > 0 && !wide.every((type) => narrow.includes(type) || (type === 'integer' && narrow.includes('number')))) {
    say(`${place}: type is ${String(next['type'])}`)
  }
  if (way === 'sent') compareRules(place, old, next, say)
  const [properties, nextProperties] = [propertiesOf(old), propertiesOf(next)]
  const [required, nextRequired] = [old, next].map((schema) => (schema['required'] ?? []) as string[]) as [string[], string[]]
  for (const [name, schema] of Object.entries(properties)) {
    const property = nextProperties[name]
    if (property === undefined) say(`${place}.${name} is gone`)
    else compareSchemas(way, `${place}.${name}`, [before, schema], [after, property], say, depth + 1)
  }
  if (way === 'sent') for (const name of nextRequired) if (!required.includes(name)) say(`${place}.${name} is required`)
  if (way === 'answered') {
    for (const name of required) if (!nextRequired.includes(name) && name in nextProperties) say(`${place}.${name} may be absent`)
  }
  if ('items' in old && 'items' in next) {
    compareSchemas(way, `${place}[]`, [before, old['items'] as ApiSchema], [after, next['items'] as ApiSchema], say, depth + 1)
  }
}

/** Rules that values of a client must follow. */
function compareRules (place: string, old: ApiSchema, next: ApiSchema, say: Say): void {
  if (next['additionalProperties'] === false && old['additionalProperties'] !== false) say(`${place}: unknown fields are refused`)
  for (const name of ['pattern', 'format', 'const']) {
    if (next[name] !== undefined && next[name] !== old[name]) say(`${place}: ${name} is ${String(next[name])}`)
  }
  for (const [name, isLeast] of Object.entries(limits)) {
    const [limit, nextLimit] = [old[name], next[name]] as Array<number | undefined>
    if (nextLimit === undefined || limit === nextLimit) continue
    if (limit === undefined || (isLeast ? nextLimit > limit : nextLimit < limit)) say(`${place}: ${name} is ${nextLimit}`)
  }
  const values = next['enum'] as unknown[] | undefined
  if (values === undefined) return
  const earlier = old['enum'] as unknown[] | undefined
  if (earlier === undefined) say(`${place}: only some values are accepted`)
  for (const value of earlier ?? []) if (!values.includes(value)) say(`${place}: ${String(value)} is refused`)
}

const propertiesOf = (schema: ApiSchema) => (schema['properties'] ?? {}) as Record<string, ApiSchema>

function followed<Part extends { $ref?: string }> (document: ApiDocument, part: Part): Part {
  if (part.$ref === undefined) return part
  const [kind = '', name = ''] = part.$ref.split('/').slice(2)
  return (document.components[kind]?.[name] ?? {}) as Part
}
