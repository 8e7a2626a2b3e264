import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'

const app = Fastify()
await app.register(autoload, { dir: join(import.meta.dirname, 'plugins') })
await app.register(autoload, { dir: join(import.meta.dirname, 'routes'), autoHooks: true, cascadeHooks: true })

console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000) })}`)
