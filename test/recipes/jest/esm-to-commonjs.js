const { transformSync } = require('esbuild')

/** Makes CommonJS of an ES module. */
exports.process = (text) => ({
  code: transformSync(text, {
    format: 'cjs',
    target: 'node20',
    supported: { 'dynamic-import': false },
    banner: "const moduleUrl = require('node:url').pathToFileURL(__filename).href",
    define: { 'import.meta.url': 'moduleUrl', 'import.meta.dirname': '__dirname' }
  }).code
})
