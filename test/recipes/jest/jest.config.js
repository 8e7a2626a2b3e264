module.exports = {
  moduleFileExtensions: ['js', 'json', 'ts'],
  rootDir: 'src',
  testRegex: '.*\\.spec\\.ts$',
  transform: {
    '^.+\\.ts$': 'ts-jest',
    '/node_modules/countersign/.+\\.js$': '<rootDir>/../esm-to-commonjs.js'
  },
  transformIgnorePatterns: ['/node_modules/(?!countersign/)'],
  testEnvironment: 'node'
}
