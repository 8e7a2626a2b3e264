/* Prints the text that an editor shows at the first place of each name: node hover.js <file> <name>… */
import ts from 'typescript'

const [file, ...names] = process.argv.slice(2)
const service = ts.createLanguageService({
  getScriptFileNames: () => [file],
  getScriptVersion: () => '1',
  getScriptSnapshot (path) {
    const text = ts.sys.readFile(path)
    return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text)
  },
  getCurrentDirectory: () => process.cwd(),
  getCompilationSettings: () => ({ module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2023, strict: true, types: ['node'] }),
  getDefaultLibFileName: ts.getDefaultLibFilePath,
  fileExists: ts.sys.fileExists,
  readFile: ts.sys.readFile,
  readDirectory: ts.sys.readDirectory,
  directoryExists: ts.sys.directoryExists,
  getDirectories: ts.sys.getDirectories
})
for (const name of names) {
  const { documentation } = service.getQuickInfoAtPosition(file, ts.sys.readFile(file).indexOf(name))
  console.log(ts.displayPartsToString(documentation).replaceAll('\n', ' '))
}
