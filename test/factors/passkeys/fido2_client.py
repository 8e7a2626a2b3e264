"""Client of python3-fido2 0.9 over a device of its own: one request a line on stdin, one answer a line on stdout, both JSON.

Request: {"method": "create" or "get", "origin": text, "options": JSON form of WebAuthn, "counting": boolean}
Answer: {"response": JSON form of WebAuthn}, or {"refused": name of the client's error}
"""
import json
import os
import struct
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.client import ClientError, Fido2Client
from fido2.cose import ES256
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2 import AttestedCredentialData, AuthenticatorData
from fido2.utils import sha256
from fido2.webauthn import AuthenticatorSelectionCriteria

UP, AT = AuthenticatorData.FLAG.USER_PRESENT, AuthenticatorData.FLAG.ATTESTED


class SoftDevice(CtapDevice):
    """Security key that tests presence alone. Its counter stays 0 unless it counts."""

    capabilities = 0x04  # speaks CTAP 2

    def __init__(self):
        self.keys = {}
        self.counter = 0
        self.counting = False

    @classmethod
    def list_devices(cls):
        return iter(())

    def call(self, cmd, data=b"", event=None, on_keepalive=None):
        try:
            arguments = cbor.decode(data[1:]) if len(data) > 1 else {}
            answer = {4: self.info, 1: self.create, 2: self.get}[struct.unpack(">B", data[:1])[0]](arguments)
            return b"\0" + cbor.encode(answer)
        except CtapError as error:
            return struct.pack(">B", error.code)

    def info(self, _):
        return {1: ["FIDO_2_0"], 3: bytes(16), 4: {"rk": False, "up": True}}

    def counted(self):
        self.counter += 1 if self.counting else 0
        return self.counter

    def create(self, arguments):
        if any(known["id"] in self.keys for known in arguments.get(5) or []):
            raise CtapError(CtapError.ERR.CREDENTIAL_EXCLUDED)
        if not any(parameters["alg"] == ES256.ALGORITHM for parameters in arguments[4]):
            raise CtapError(CtapError.ERR.UNSUPPORTED_ALGORITHM)
        key = ec.generate_private_key(ec.SECP256R1(), default_backend())
        credential_id = os.urandom(48)
        self.keys[credential_id] = key
        public_key = ES256.from_cryptography_key(key.public_key())
        attested = AttestedCredentialData.create(bytes(16), credential_id, public_key)
        rp_id_hash = sha256(arguments[2]["id"].encode())
        return {1: "none", 2: bytes(AuthenticatorData.create(rp_id_hash, UP | AT, self.counted(), attested)), 3: {}}

    def get(self, arguments):
        ours = [known["id"] for known in arguments.get(3) or [] if known["id"] in self.keys]
        if not ours:
            raise CtapError(CtapError.ERR.NO_CREDENTIALS)
        auth_data = bytes(AuthenticatorData.create(sha256(arguments[1].encode()), UP, self.counted()))
        signature = self.keys[ours[0]].sign(auth_data + arguments[2], ec.ECDSA(hashes.SHA256()))
        return {1: {"id": ours[0], "type": "public-key"}, 2: auth_data, 3: signature}


def decoded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def descriptors(listed):
    return [dict(known, id=decoded(known["id"])) for known in listed]


def create(client, options):
    # This version knows neither residentKey nor hints.
    selection = AuthenticatorSelectionCriteria(
        require_resident_key=options["authenticatorSelection"]["requireResidentKey"],
        user_verification=options["authenticatorSelection"]["userVerification"],
    )
    made = client.make_credential(dict(
        options,
        challenge=decoded(options["challenge"]),
        user=dict(options["user"], id=decoded(options["user"]["id"])),
        excludeCredentials=descriptors(options["excludeCredentials"]),
        authenticatorSelection=selection,
    ))
    attestation = made.attestation_object
    return credential(attestation.auth_data.credential_data.credential_id, {
        "clientDataJSON": encoded(made.client_data),
        # CTAP numbers the members of the object, WebAuthn names them.
        "attestationObject": encoded(attestation.with_string_keys()),
    })


def get(client, options):
    assertion = client.get_assertion(dict(
        options, challenge=decoded(options["challenge"]), allowCredentials=descriptors(options["allowCredentials"]),
    )).get_response(0)
    return credential(assertion.credential_id, {
        "clientDataJSON": encoded(assertion.client_data),
        "authenticatorData": encoded(assertion.authenticator_data),
        "signature": encoded(assertion.signature),
    })


def credential(credential_id, response):
    return {
        "id": encoded(credential_id), "rawId": encoded(credential_id), "type": "public-key",
        "response": response, "clientExtensionResults": {},
    }


device = SoftDevice()
for line in sys.stdin:
    request = json.loads(line)
    device.counting = request.get("counting", False)
    # Its own rule refuses http, also at localhost.
    client = Fido2Client(device, request["origin"], verify=lambda rp_id, origin: True)
    try:
        answer = {"response": {"create": create, "get": get}[request["method"]](client, request["options"])}
    except ClientError as error:
        answer = {"refused": error.code.name}
    print(json.dumps(answer), flush=True)
