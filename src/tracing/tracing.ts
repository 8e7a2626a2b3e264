import type { Attributes, Span } from '@opentelemetry/api'

type Api = typeof import('@opentelemetry/api')

/** Where an SDK registers itself for every copy of @opentelemetry/api 1.x in the process. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')
const SCOPE = 'countersign'

/** Runs a call in a span, if a request with a span makes it. */
export type Traced = <T>(name: string, run: () => Promise<T>) => Promise<T>

export interface Tracing {
  /** Starts the span of a request, which continues the trace of its headers. */
  request (name: string, headers: object, attributes: Attributes): RequestSpan
  /** Runs a statement of PostgreSQL in a span. `text` has placeholders, no values. */
  statement<T> (name: string, text: string, run: () => Promise<T>): Promise<T>
  /** Runs a command of Redis in a span. */
  command: Traced
}

export interface RequestSpan {
  /** Calls `next` so that spans of calls that it starts, at once or later, belong to the request. */
  enter (next: () => void): void
  end (statusCode: number, attributes: Attributes): void
  /** Ends it without an answer, as an error. */
  breakOff (type: string): void
}

/**
 * Makes spans if an SDK is registered in this process, which the operator's `node --import` did before. Otherwise loads nothing.
 * The SDK may have a copy of the API of its own, of this release or a later one.
 *
 * @returns null if there is no SDK
 */
export async function loadTracing (): Promise<Tracing | null> {
  const registered = (globalThis as { [REGISTERED]?: { trace?: object } })[REGISTERED]
  return registered?.trace === undefined ? null : tracingOf(await import('@opentelemetry/api'))
}

function tracingOf ({ context, propagation, trace, SpanKind, SpanStatusCode }: Api): Tracing {
  const tracer = trace.getTracer(SCOPE)

  async function call<T> (name: string, attributes: Attributes, run: () => Promise<T>): Promise<T> {
    // The poller and the delivery workers would make a trace of their own twice a second.
    if (trace.getActiveSpan() === undefined) return await run()
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes })
    try {
      return await run()
    } catch (error) {
      fail(span, typeOf(error))
      throw error
    } finally {
      span.end()
    }
  }

  /** Without the message of the error: drivers put values into it. */
  function fail (span: Span, type: string): void {
    span.setAttribute('error.type', type)
    span.setStatus({ code: SpanStatusCode.ERROR })
  }

  return {
    request (name, headers, attributes) {
      const outside = propagation.extract(context.active(), headers)
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, outside)
      const inside = trace.setSpan(outside, span)
      return {
        enter: (next) => { context.with(inside, next) },
        end (statusCode, more) {
          span.setAttributes({ 'http.response.status_code': statusCode, ...more })
          if (statusCode >= 500) fail(span, String(statusCode))
          span.end()
        },
        breakOff (type) {
          fail(span, type)
          span.end()
        }
      }
    },
    statement: (name, text, run) => call(name, { 'db.system.name': 'postgresql', 'db.query.summary': name, 'db.query.text': text }, run),
    command: (name, run) => call(name, { 'db.system.name': 'redis', 'db.operation.name': name }, run)
  }
}

/** Returns the SQLSTATE, the code of the error, or its class. */
function typeOf (error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER'
  const { cause, name } = error
  const code = (cause as { code?: unknown } | undefined)?.code ?? (error as { code?: unknown }).code
  return typeof code === 'string' ? code : name
}
