import { STATUS_CODES } from 'node:http'
import { AnyRefusal, refusalExamples } from '../routes/refused.js'

/** Parts of an OpenAPI document that are read or changed here. */
interface Document {
  openapi?: string
  components?: Partial<Record<'schemas' | 'responses' | 'examples' | 'parameters' | 'headers', Json>>
  paths?: Record<string, Record<string, Operation>>
}
interface Operation { parameters?: Parameter[], requestBody?: Body, responses?: Record<string, Response> }
interface Parameter { name?: string, schema?: Json, $ref?: string }
interface Body { required?: boolean, content?: Record<string, Media> }
interface Response { $ref?: string, description?: string, headers?: Json, content?: Record<string, Media> }
interface Media { schema?: Json, example?: unknown, examples?: Json }
type Json = Record<string, unknown>

/** A `title` in this form is the name of a type. Others are for people and stay where they are. */
const TYPE_NAME = /^[A-Z][A-Za-z0-9]*$/
const JSON_TYPE = 'application/json'

/**
 * Is a `transformObject` for @fastify/swagger: moves each schema with a `title` such as `TokenPair` to `components.schemas` and
 * refers to it, so that generated clients have named types. Responses of refusals move to `components.responses`, headers to
 * `components.headers`. A second
 * schema with the same title and other content gets a number behind its name.
 *
 * @example
 * await app.register(swagger, { openapi: { openapi: '3.1.0' }, transformObject: namedSchemas })
 */
export function namedSchemas<Transformed extends object> ({ openapiObject }: { openapiObject: Transformed }): Transformed {
  const document = openapiObject as Document
  const components = document.components ??= {}
  const [responses, examples, parameters] = [components.responses ??= {}, components.examples ??= {}, components.parameters ??= {}]
  const headers = components.headers ??= {}
  const schemas = createNames(components.schemas ??= {}, document.openapi?.startsWith('3.0') === true)
  schemas.move(AnyRefusal as Json)
  Object.assign(examples, refusalExamples())

  const moveMedia = (media: Media) => {
    if (media.schema === undefined) return
    media.schema = schemas.move(media.schema, media.example)
    if ('$ref' in media.schema) delete media.example
  }
  const moveResponse = (response: Response, status: string): Response => {
    const { content = {} } = response
    for (const media of Object.values(content)) moveMedia(media)
    response.headers &&= Object.fromEntries(Object.entries(response.headers).map(([name, header]) =>
      [name, { $ref: `#/components/headers/${place(headers, name.replaceAll('-', ''), header as Json)}` }]))
    const [media] = Object.values(content)
    const name = media?.schema?.['x-response']
    if (typeof name === 'string') return { $ref: `#/components/responses/${place(responses, name, refusalResponse(response, media!))}` }
    // The schema has a description of its own.
    if ('$ref' in (media?.schema ?? {})) response.description = STATUS_CODES[status]!
    return response
  }
  for (const operation of Object.values(document.paths ?? {}).flatMap((item) => Object.values(item))) {
    operation.parameters &&= operation.parameters.map(({ schema, ...parameter }) => {
      if (schema === undefined) return parameter
      const moved = schemas.move(schema)
      if (!('$ref' in moved)) return { ...parameter, schema: moved }
      const name = parameter.name![0]!.toUpperCase() + parameter.name!.slice(1)
      return { $ref: `#/components/parameters/${place(parameters, name, { ...parameter, schema: moved })}` }
    })
    const { requestBody } = operation
    if (requestBody !== undefined) {
      requestBody.required = requiresBody(requestBody)
      for (const media of Object.values(requestBody.content ?? {})) moveMedia(media)
    }
    for (const [status, response] of Object.entries(operation.responses ?? {})) {
      operation.responses![status] = moveResponse(response, status)
    }
  }
  return openapiObject
}

/** Refusals are JSON, also of an operation that answers another type. */
function refusalResponse (response: Response, { schema, examples = {} }: Media): Json {
  const { 'x-response': _name, description: _description, allOf, ...union } = schema!
  const shown = Object.keys(examples).map((code) => [code, { $ref: `#/components/examples/${code}` }])
  return {
    ...response, content: { [JSON_TYPE]: { schema: Array.isArray(allOf) ? allOf[0] as Json : union, examples: Object.fromEntries(shown) } }
  }
}

/** A body that may be `{}` may be absent: it is read as `{}`. @fastify/swagger calls every body required. */
function requiresBody ({ content = {} }: Body): boolean {
  const { required, minProperties, type } = content[JSON_TYPE]?.schema ?? {}
  return type !== 'object' || (Array.isArray(required) && required.length > 0) || minProperties !== undefined
}

/** Moves titled schemas into `schemas`, the inner ones first. */
function createNames (schemas: Json, isVersion30: boolean) {
  for (const [name, schema] of Object.entries(schemas)) schemas[name] = inside(schema as Json)

  function inside (schema: Json): Json {
    const moved: Json = { ...schema }
    for (const key of ['properties', 'items', 'additionalProperties', 'oneOf', 'anyOf', 'allOf', 'not']) {
      const value = moved[key]
      if (typeof value !== 'object' || value === null) continue
      if (Array.isArray(value)) moved[key] = value.map((one: Json) => move(one))
      else if (key === 'properties') moved[key] = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, move(one as Json)]))
      else moved[key] = move(value as Json)
    }
    if ('discriminator' in schema) moved['discriminator'] = renamed(schema['discriminator'] as Discriminator, moved['oneOf'] as Json[])
    return moved
  }

  /** @param example of the media type, which goes with its schema */
  function move (schema: Json, example?: unknown): Json {
    const { title, ...content } = inside(schema)
    if (typeof title !== 'string' || !TYPE_NAME.test(title)) return title === undefined ? content : { title, ...content }
    if (example !== undefined) Object.assign(content, isVersion30 ? { example } : { examples: [example] })
    return { $ref: `#/components/schemas/${place(schemas, title, content)}` }
  }
  return { move }
}

/** Returns the name under which the content stands: the wanted one, with a number where other content has it. */
function place (container: Json, wanted: string, content: Json): string {
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted}${number}`
    container[name] ??= content
    if (isSame(container[name] as Json, content)) return name
  }
}

interface Discriminator { propertyName: string, mapping: Record<string, string> }

/** The mapping has the order of the union, whose schemas may have got other names. */
function renamed ({ propertyName, mapping }: Discriminator, union: readonly Json[]): Discriminator {
  return { propertyName, mapping: Object.fromEntries(Object.keys(mapping).map((value, i) => [value, String(union[i]?.['$ref'])])) }
}

/** Examples and descriptions may differ: the first ones stay. */
function isSame (one: Json, other: Json): boolean {
  const bare = ({ example: _example, examples: _examples, description: _description, ...schema }: Json) => JSON.stringify(schema)
  return bare(one) === bare(other)
}
