/**
 * A mail server in a process of its own, so that it can be killed and paused. Prints the Message-ID of each mail that it took.
 *
 *   node build/test/chaos/mail-program.js PORT      SIGUSR2: refuses every sender from then on, or no longer
 */
import { SMTPServer } from 'smtp-server'
import { text } from 'node:stream/consumers'

let isRefusing = false
process.on('SIGUSR2', () => {
  isRefusing = !isRefusing
  console.log(isRefusing ? 'refusing' : 'accepting')
})
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS'],
  onMailFrom (_address, _session, done) {
    done(isRefusing ? Object.assign(new Error('4.3.2 not now'), { responseCode: 451 }) : null)
  },
  onData (stream, _session, done) {
    text(stream).then((raw) => {
      console.log(`took ${/^Message-ID: (\S+)/im.exec(raw)?.[1]}`)
      done()
    }, done)
  }
})
server.on('error', () => {})
server.listen(Number(process.argv[2]), '127.0.0.1', () => { console.log('listening yes') })
