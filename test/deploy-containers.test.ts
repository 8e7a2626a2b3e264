/** docs/deploy.md: the files for containers are valid, and name only settings, files and ports that the service has. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import type { TSchema } from '@sinclair/typebox'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { Service } from 'kubernetes-models/v1/Service'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { settings } from '../src/config/settings.js'

const FOLDER = 'deploy/'
const known = Object.entries<TSchema>(settings.properties)
  .flatMap(([name, schema]) => schema['mayBeInFile'] === true ? [name, `${name}_FILE`] : [name])
const dockerfile = await readFile(`${FOLDER}Dockerfile`, 'utf8')
const environment = new Map([...dockerfile.matchAll(/(?<=^ENV .*)(\w+)=(\S+)/gm)].map(([, name = '', value = '']) => [name, value]))

t.test('Dockerfile: not root, a health check, files and settings that are there', async (t) => {
  const [, last = ''] = dockerfile.split(/^FROM (?!.* AS )/m)
  t.match(last, /^USER 1000:1000$/m)
  t.match(last, /^HEALTHCHECK .*readyz/m)
  t.strictSame([...environment.keys()].filter((name) => name !== 'NODE_ENV' && !known.includes(name)), [])
  for (const [, names = ''] of last.matchAll(/^COPY (?!--from)(.*)$/gm)) {
    for (const name of names.split(' ').slice(0, -1)) t.ok(existsSync(name), name)
  }
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> }
  t.same(`exec ${(JSON.parse(/^CMD (.*)$/m.exec(last)![1]!) as string[]).join(' ')}`, scripts['start'])
})

t.test('no secret is in what the image is built from: neither those of compose.yaml nor settings and keys of a checkout', async (t) => {
  const ignored = (await readFile(`${FOLDER}Dockerfile.dockerignore`, 'utf8')).split('\n')
  const compose = parse(await readFile(`${FOLDER}compose.yaml`, 'utf8'))
  for (const { file } of Object.values<{ file: string }>(compose.secrets)) {
    const folder = posix.dirname(posix.join(FOLDER, file))
    t.ok(ignored.includes(folder), file)
    t.match(await readFile('.gitignore', 'utf8'), new RegExp(`^${folder}/$`, 'm'))
  }
  for (const name of ['.env', '.countersign']) t.ok(ignored.includes(name), name)
})

t.test('compose.yaml: settings of the service, secrets that are declared, a read-only root', async (t) => {
  const compose = parse(await readFile(`${FOLDER}compose.yaml`, 'utf8'))
  const { environment: env, secrets, ...service } = compose.services.countersign
  t.strictSame(Object.keys(env).filter((name) => !known.includes(name)), [])
  t.match(service, { read_only: true, cap_drop: ['ALL'], build: { dockerfile: 'deploy/Dockerfile' } })
  t.strictSame(Object.entries<string>(env).filter(([name]) => name.endsWith('_FILE')).map(([, path]) => path),
    secrets.map((name: string) => `/run/secrets/${name}`))
  const used = Object.values<any>(compose.services).flatMap((one) => one.secrets ?? [])
  t.strictSame([...new Set(used)].toSorted(), Object.keys(compose.secrets).toSorted())
  for (const name of Object.keys(service.depends_on)) t.ok(name in compose.services, name)
  t.match(compose.services.redis.command.join(' '), /--maxmemory-policy noeviction$/, 'the service warns of any other at each start')
  t.equal(env.TRUSTED_PROXIES, compose.services.caddy.networks.inside.ipv4_address)
  t.match(await readFile(`${FOLDER}Caddyfile`, 'utf8'), `countersign:${environment.get('PORT')}`)
})

t.test('Kubernetes: valid objects, two replicas that a disruption leaves one of, probes on a port that is there', async (t) => {
  const documents = parseAllDocuments(await readFile(`${FOLDER}kubernetes/countersign.yaml`, 'utf8')).map((one) => one.toJSON())
  const of = (kind: string) => documents.find((one) => one.kind === kind)
  for (const [kind, Model] of Object.entries({ Deployment, Service, PodDisruptionBudget })) {
    t.doesNotThrow(() => { new (Model as new (data: object) => { validate (): void })(of(kind)).validate() }, kind)
  }
  t.throws(() => { new Deployment({ ...of('Deployment'), spec: { replicas: 'two' } } as never).validate() }, 'the schema finds faults')
  const { replicas, selector, template: { metadata, spec } } = of('Deployment').spec
  const { containers: [container], initContainers: [first], ...pod } = spec
  t.same([first.image, first.envFrom, first.securityContext], [container.image, container.envFrom, container.securityContext])
  t.match(first.command, ['node', 'build/src/bin.js', 'migrate', 'up'])
  t.ok(replicas > of('PodDisruptionBudget').spec.minAvailable)
  t.same(selector.matchLabels, metadata.labels)
  t.same(of('Service').spec.selector, metadata.labels)
  t.same(of('PodDisruptionBudget').spec.selector.matchLabels, metadata.labels)
  t.strictSame(container.env.map(({ name }: { name: string }) => name).filter((name: string) => !known.includes(name)), [])
  const ports = new Map(container.ports.map((port: { name: string, containerPort: number }) => [port.name, port.containerPort]))
  t.equal(ports.get('http'), Number(environment.get('PORT')))
  t.equal(String(ports.get('ops')), container.env.find(({ name }: { name: string }) => name === 'OPS_PORT').value)
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) t.ok(ports.has(container[probe].httpGet.port), probe)
  t.match(pod, { securityContext: { runAsNonRoot: true }, enableServiceLinks: false })
  t.match(container.securityContext, { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false })
})
