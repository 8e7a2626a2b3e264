#!/usr/bin/env node
import { guardOutput } from './commands/output.js'
import { run } from './commands/program.js'

/** The command of the package `countersign`. */
guardOutput(process)
await run()
