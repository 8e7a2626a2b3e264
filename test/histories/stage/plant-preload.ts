/** Loaded into a replica by `--import`: changes its statements by the plant of its environment. */
import { changeStatements } from '../../mutation/statements.js'
import { planted } from '../plants.js'

changeStatements(planted)
