export default async function (app) {
  app.delete('/', async () => ({}))
}
