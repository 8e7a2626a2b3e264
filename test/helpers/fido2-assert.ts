import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuthenticationResponseJSON } from '../../src/core/passkeys/webauthn.js'
import { encodeCbor } from '../../src/testing/cbor.js'

/** Lines that `fido2-assert -V` reads. */
export interface JudgedLines { client: Uint8Array, rpId: string, authData: Uint8Array, signature: Uint8Array }

/** Returns the lines for an assertion. The tool wants the authenticator data inside a CBOR byte string. */
export function judgedLines ({ response }: AuthenticationResponseJSON, rpId: string): JudgedLines {
  const bytes = (text: string) => Buffer.from(text, 'base64url')
  return {
    client: createHash('sha256').update(bytes(response.clientDataJSON)).digest(),
    rpId,
    authData: encodeCbor(bytes(response.authenticatorData)),
    signature: bytes(response.signature)
  }
}

/** Writes a public key (SPKI, DER) as the tool reads it. @returns the file */
export async function writePem (folder: string, name: string, spki: Buffer): Promise<string> {
  const file = join(folder, `${name}.pem`)
  const text = spki.toString('base64').replace(/(.{64})(?!$)/g, '$1\n')
  await writeFile(file, `-----BEGIN PUBLIC KEY-----\n${text}\n-----END PUBLIC KEY-----\n`)
  return file
}

/**
 * Runs `fido2-assert -V` of libfido2, which shares no code with the library of the service.
 *
 * @param flags `-p` asks for presence, `-v` for user verification
 * @returns true if it accepts the signature
 */
export async function judge (
  program: string,
  pem: string,
  algorithm: 'es256' | 'eddsa' | 'rs256',
  { client, rpId, authData, signature }: JudgedLines,
  ...flags: string[]
): Promise<boolean> {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  const input = [base64(client), rpId, base64(authData), base64(signature), ''].join('\n')
  return await new Promise((resolve) => {
    const child = execFile(program, ['-V', ...flags, pem, algorithm], (error) => { resolve(error === null) })
    child.stdin!.end(input)
  })
}
