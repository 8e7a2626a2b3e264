import t from 'tap'
import { Refusal } from '../../src/core/refusals.js'
import { asRefusal, breaksConnection, isRetriable, isUnavailable, isUniqueViolation } from '../../src/postgres/errors.js'

const state = (code: string, message = 'something of the inside') => Object.assign(new Error(message), { code })
const system = (code: string) => Object.assign(new Error(`connect ${code} 127.0.0.1:5432`), { code, errno: -111 })

/** [error of PostgreSQL, pg, PGlite or a socket, unavailable?, retriable?, breaks the connection?] */
const table = [
  [state('08006'), true, false, true],
  [state('08P01'), true, false, true],
  [state('53300'), true, false, false],
  [state('53100'), true, false, false],
  [state('57P01'), true, false, true],
  [state('57P02'), true, false, true],
  [state('57P03'), true, false, true],
  [state('57014'), true, false, false],
  [state('25006'), true, false, true],
  [state('55P03'), true, false, false],
  [state('40001'), true, true, false],
  [state('40P01'), true, true, false],
  [state('42P01'), true, false, false],
  [state('3D000'), true, false, false],
  [state('23505'), false, false, false],
  [state('23514'), false, false, false],
  [state('22021'), false, false, false],
  [state('42703'), false, false, false],
  [state('42601'), false, false, false],
  [state('25P02'), false, false, false],
  [state('25P03'), true, false, true],
  [state('25P04'), true, false, true],
  [system('ECONNREFUSED'), true, false, true],
  [system('ECONNRESET'), true, false, true],
  [system('EPIPE'), true, false, true],
  [system('ENOTFOUND'), true, false, true],
  [system('EAI_AGAIN'), true, false, true],
  [new Error('Connection terminated unexpectedly'), true, false, true],
  [new Error('Connection terminated due to connection timeout'), true, false, true],
  [new Error('timeout exceeded when trying to connect'), true, false, true],
  [new Error('Query read timeout'), true, false, true],
  [new Error('PGlite is closed'), true, false, true],
  [new Error('Cannot use a pool after calling end on the pool'), true, false, true],
  [new TypeError('x is not a function'), false, false, true],
  [null, false, false, true],
  [undefined, false, false, true],
  ['a string', false, false, true]
] as const

t.test('O3 M3 E1 every fault is of one kind', async (t) => {
  for (const [error, unavailable, retriable, broken] of table) {
    const what = error instanceof Error ? `${String((error as { code?: string }).code ?? '')} ${error.message}` : String(error)
    t.equal(isUnavailable(error), unavailable, `unavailable: ${what}`)
    t.equal(isRetriable(error), retriable, `retriable: ${what}`)
    t.equal(breaksConnection(error), broken, `broken: ${what}`)
    t.equal(isUniqueViolation(error), (error as { code?: string } | null)?.code === '23505')
  }
})

t.test('E1 a fault of the infrastructure is one refusal that says nothing of the inside; the cause is for the log', async (t) => {
  const fault = system('ECONNREFUSED')
  const refusal = asRefusal(fault)
  t.type(refusal, Refusal)
  t.match(refusal, { code: 'UNAVAILABLE', statusCode: 503, cause: fault, headers: { 'retry-after': '1' } })
  t.notMatch((refusal as Refusal).message, /ECONN|5432/)
  const bug = state('42703')
  t.equal(asRefusal(bug), bug, 'a wrong statement is not "try again"')
})
