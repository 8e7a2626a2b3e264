import { otpVerified } from 'countersign'

/** Guards every route of this folder, and of the folders in it. */
export default async function (app) {
  app.addHook('preHandler', otpVerified({ maxAge: 300 }))
}
