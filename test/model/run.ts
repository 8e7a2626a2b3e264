/**
 * `npm run model`: searches the models of model/ completely, with the large parts, then each of them without one rule. Prints
 * a table; exits with 1 if a model has a violation or a rule has no counterexample.
 */
import { readFile } from 'node:fs/promises'
import { counterexample, models, rulesOf, search } from './spin.js'

let isBad = false
const print = (...cells: unknown[]): void => { console.log(`| ${cells.join(' | ')} |`) }

print('model', 'part', 'states', 'seconds', 'result')
print('---', '---', '---', '---', '---')
for (const { file, configurations, large } of models) {
  const text = await readFile(file, 'utf8')
  for (const configuration of [...configurations, ...large]) {
    const { holds, states, seconds, violation } = await search(text, configuration)
    isBad ||= !holds
    print(file, configuration.name, states, seconds.toFixed(1), holds ? 'holds' : `violated: ${violation}`)
  }
}
console.log()
print('model', 'without the rule', 'violated', 'states until then')
print('---', '---', '---', '---')
for (const model of models) {
  for (const rule of rulesOf(await readFile(model.file, 'utf8'))) {
    const found = await counterexample(model, rule)
    isBad ||= found === null
    print(model.file, rule.name, found === null ? 'NOTHING' : 'yes', found?.states ?? '')
  }
}
process.exitCode = isBad ? 1 : 0
