/** Limit of a request body: 16 KiB. The largest valid input is a refresh token. */
export const BODY_BYTES = 16 * 1024
