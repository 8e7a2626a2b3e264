const banner = "const moduleUrl = require('node:url').pathToFileURL(__filename).href"
const define = { 'import.meta.url': 'moduleUrl', 'import.meta.dirname': '__dirname' }
const options = { format: 'cjs', target: 'node20', supported: { 'dynamic-import': false }, banner, define }
exports.process = (text) => require('esbuild').transformSync(text, options)
