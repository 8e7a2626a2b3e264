import { readFile } from 'node:fs/promises'
import t from 'tap'
import { need } from '../helpers/need.js'
import { sized } from '../helpers/thorough.js'
import { twoServers } from './liveness-stage.js'
import { replay } from './liveness-steps.js'
import { models, replayed as chosen, rulesOf, simulate, violatingRun, without, type Step } from './spin.js'

/*
 * Replays runs of model/liveness.pml against the code: liveness-steps.ts says what each step is. A replica with its poller, its local
 * cache and its Redis cache must answer each request as the model does, from the same place.
 */

await need('postgres')
await need('spin')
await need('gcc')

/** Of each part. */
const RUNS = sized(8, 20)
const MOST_STEPS = 800
/** Only a very busy machine needs so long. */
t.setTimeout(480_000)
const FILE = 'model/liveness.pml'
const model = await readFile(FILE, 'utf8')
/**
 * The model as exact as the code, where it is wider. It forgets an end as early as the search can bear, the code later than any run
 * here. It keeps an answer over a connection that was replaced, and uses entries from before an answer that the session is over.
 */
const text = [
  [/#define REMEMBER \(.*\)/, '#define REMEMBER 250'],
  ['&& !r.q.gap ', '&& !r.q.renewed && !r.q.gap '],
  ['Replica r;', 'Replica r; bool over;'],
  ['(isFound && !JOINED', '(isFound && !JOINED && !over'],
  ['        fi\n      :: else\n      fi\n    fi\n  fi;\n  clearQuestion()',
    '        fi\n      :: else -> r.alive = false; over = true\n      fi\n    fi\n  fi;\n  clearQuestion()']
].reduce((exact, [part, more]) => exact.replace(part!, more as string), model)
const PARTS = [['FAILOVER=0'], ['REDIS=0'], ['OTHER=0']]
/** Rules of the readings that replicas share, which are not replayed, and of statements that are given up, which the test does itself. */
const NOT_OF_THE_REPLICA = /shared reading|not shared|announce|a slow question/

/** Steps that a run by chance would have too seldom: their lines stand twice, at the end, in this order. It has the same runs. */
const OFTEN = ['heardPoll 0 0', 'request(true)', 'tick()', 'request(false)', 'heardQuestion 0', 'dateEntry']
const often = OFTEN.map((part) => text.split('\n').find((line) => line.startsWith('  :: ') && line.includes(part))!)
const weighted = text.replace(/^ {2}od$/m, [...often, '  od'].join('\n'))
/** The model with a violation where a request is answered by the Redis cache. */
const toCopy = text.replace('printf("@ copy\\n"); accept(LATE); fill()', 'printf("@ copy\\n"); accept(LATE); fill(); assert(false)')

const servers = await twoServers(t)
let runs = 0
const replayed = async (steps: readonly Step[]) => await replay(servers, `session ${runs++}`, steps)

t.test('runs of the model by chance have the same answers in the code', async (t) => {
  const seen: Record<string, number> = {}
  for (const defines of PARTS) {
    for (let seed = 1; seed <= RUNS; seed++) {
      const { answers, expected } = await replayed(await simulate(weighted, seed, defines, MOST_STEPS))
      t.same(answers, expected, `${defines.join()} seed ${seed}`)
      for (const answer of answers) seen[answer] = (seen[answer] ?? 0) + 1
    }
  }
  for (const answer of ['local', 'asked', 'joined', 'refused', 'accepted']) t.ok((seen[answer] ?? 0) > 0, answer)
  t.comment(`${PARTS.length * RUNS} runs: ${JSON.stringify(seen)}`)
})

t.test('the shortest run to an answer of the Redis cache has the same answers in the code', async (t) => {
  const { answers, expected } = await replayed((await violatingRun(toCopy, ['FAILOVER=0', 'OTHER=0']))!)
  t.same(answers, expected)
  t.equal(answers.at(-1), 'copy')
})

t.test('the run that violates a property without a rule is harmless in the code', async (t) => {
  const { sought = {}, configurations, large } = models.find(({ file }) => file === FILE)!
  const rules = rulesOf(text).filter(({ name }) => !NOT_OF_THE_REPLICA.test(name))
  for (const rule of chosen(rules, 'a gap empties the local cache')) {
    const { defines } = [...configurations, ...large].find(({ name }) => name === sought[rule.name]) ?? configurations[0]!
    const steps = await violatingRun(without(model, rule), defines)
    t.ok(steps, rule.name)
    const { late, answers } = await replayed(steps!)
    t.ok(answers.length > 0, `${rule.name}: requests`)
    t.equal(late, 0, `${rule.name}: no request is accepted that must be refused`)
  }
})
