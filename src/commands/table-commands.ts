/** Commands of `countersign tables`, for its own help and for the service's. */
export const tableCommands = {
  up: 'bring the tables of an attached host up to date',
  status: 'list the migrations that are missing there; exits with 1 if there are any',
  sql: 'print the statements that bring an empty schema up to date'
} as const
