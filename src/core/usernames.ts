/** Usernames are one whatever their case and width: `Ada`, `ADA` and `ａｄａ` are the same person. */
export function usernameKey (username: string): string {
  return username.normalize('NFKC').toLowerCase()
}
