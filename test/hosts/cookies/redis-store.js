const LIFE_SECONDS = 86_400

/** Session store in Redis for @fastify/session: every instance of the app finds the sessions there. */
export class RedisStore {
  #redis
  #prefix

  constructor (redis, prefix) {
    this.#redis = redis
    this.#prefix = prefix
  }

  set (id, session, done) {
    this.#redis.set(`${this.#prefix}${id}`, JSON.stringify(session), 'EX', LIFE_SECONDS).then(() => done(), done)
  }

  get (id, done) {
    this.#redis.get(`${this.#prefix}${id}`).then((text) => done(null, text === null ? null : JSON.parse(text)), done)
  }

  destroy (id, done) {
    this.#redis.del(`${this.#prefix}${id}`).then(() => done(), done)
  }
}
