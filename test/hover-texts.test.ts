import { readFile } from 'node:fs/promises'
import t from 'tap'
import ts from 'typescript'

const { exports } = JSON.parse(await readFile('package.json', 'utf8')) as { exports: Record<string, string | { types: string }> }
/** Sources of the entry points of the package that have types. */
const entries = Object.values(exports)
  .flatMap((one) => typeof one === 'string' ? [] : [one.types.replace(/^\.\/dist\/(.*)\.d\.ts$/, '$1.ts')])

// The compiler reads all files that the entry points import.
t.setTimeout(180_000)

const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as { config: object }
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, '.')
const program = ts.createProgram(entries, options)
const checker = program.getTypeChecker()

const isInPackage = (one: ts.Declaration) => one.getSourceFile().fileName.includes('/node_modules/')
const isOfPackage = (symbol: ts.Symbol) => symbol.declarations?.some(isInPackage) === true
const hasText = (symbol: ts.Symbol) => symbol.getDocumentationComment(checker).length > 0
const resolved = (symbol: ts.Symbol) => (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)

/** Returns an export, and its members if it is an interface. Members that a type computes have no declaration of their own. */
function * shownOf (symbol: ts.Symbol): Generator<[name: string, symbol: ts.Symbol]> {
  yield [symbol.name, symbol]
  if ((symbol.flags & ts.SymbolFlags.Interface) === 0) return
  for (const member of checker.getDeclaredTypeOfSymbol(symbol).getProperties()) {
    const isWritten = member.declarations?.some((one) => ts.isInterfaceDeclaration(one.parent)) === true
    if (isWritten && !isOfPackage(member)) yield [`${symbol.name}.${member.name}`, member]
  }
}

t.ok(entries.length >= 10)
for (const entry of entries) {
  t.test(`an editor shows a text for everything that ${entry} exports`, async (t) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!
    const exported = checker.getExportsOfModule(module).map(resolved).filter((symbol) => !isOfPackage(symbol))
    const shown = exported.flatMap((symbol) => [...shownOf(symbol)])
    t.ok(shown.length > 0)
    t.same(shown.filter(([, symbol]) => !hasText(symbol)).map(([name]) => name), [])
  })
}
