/** Address with the name that is shown beside it; the name may be empty. */
export interface Mailbox { name: string, address: string }

/**
 * Returns true for an address that can be mailed as it is: ASCII before the @, and none of the characters with which one text
 * becomes a list of addresses or another header.
 */
export function isMailable (address: string): boolean {
  return /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[^\s@,;:<>()[\]\\"\p{C}]+$/u.test(address) && address.length <= 254
}

/** Reads `address` or `Name <address>`. Returns null for anything else. */
export function parseMailbox (text: string): Mailbox | null {
  const [, name = '', address = text.trim()] = /^([^<>"(),;:@\\]*)<([^<>]+)>$/.exec(text.trim()) ?? []
  return isMailable(address) ? { name: name.trim(), address } : null
}
