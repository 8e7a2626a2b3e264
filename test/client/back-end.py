"""A back end that follows docs/protocol.md, with Debian's python3-cryptography: python3 back-end.py URL KEY PORT

It answers any GET with the user's id, or with a refusal. Its path is the demand: /, /required, /passkey or /60 (maxAge).
"""
import base64
import hashlib
import http.server
import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

URL, KEY, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
ISSUER = AUDIENCE = 'countersign'
STALE_SECONDS = 1.0


class Refused(Exception):
    def __init__(self, status, code, challenge=None):
        super().__init__(code)
        self.status, self.code, self.challenge = status, code, challenge


def decoded(text):
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


def digest(text):
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).decode().rstrip('=')


class Revocations:
    """Rules 1 to 6 of "Ended sessions"."""

    def __init__(self):
        self.ended, self.marks = {}, {}
        self.is_complete, self.as_of, self.cursor = False, float('-inf'), None
        self.clock, self.keep = (0.0, 0.0), 0

    def follow(self):
        while True:
            try:
                self.follow_once()
            except (OSError, ValueError, KeyError):
                time.sleep(0.1)

    def follow_once(self):
        query = '' if self.cursor is None else '?' + urllib.parse.urlencode({'after': self.cursor})
        request = urllib.request.Request(f'{URL}/revocations{query}', headers={'Authorization': f'Bearer {KEY}'})
        began = time.monotonic()
        with urllib.request.urlopen(request, timeout=1) as answer:
            for text in answer:
                self.take(json.loads(text), began)

    def take(self, line, began):
        now = time.monotonic()
        for one in line['ids']:
            self.ended[one] = now
        for mark in line['marks']:
            user = mark.get('user')
            self.marks[user] = (max(mark['before'], self.before(user)), now)
        self.clock, self.keep = (line['time'] / 1000, began + line['ms'] / 1000), line['keep']
        if line['more']:
            return
        self.is_complete = self.is_complete or line['full']
        if self.is_complete:
            self.as_of = max(self.as_of, began + (line['ms'] - line['age']) / 1000)
            self.cursor = line['cursor']
        for one in [one for one, at in list(self.ended.items()) if now - at > self.keep]:
            del self.ended[one]
        for user in [user for user, (_, at) in list(self.marks.items()) if now - at > self.keep]:
            del self.marks[user]

    def before(self, user):
        return self.marks.get(user, (0, 0))[0]

    def is_stale(self):
        return time.monotonic() - self.as_of > STALE_SECONDS

    def now(self):
        at_database, at = self.clock
        return at_database + time.monotonic() - at

    def revokes(self, claims):
        before = max(self.before(digest(claims['sub'])), self.before(None))
        return digest(claims['sid']) in self.ended or claims['auth_time'] * 1000 < before


class Keys:
    """"Keys": read at start, every 15 seconds, and for an unknown kid."""

    def __init__(self):
        self.keys, self.tried = None, float('-inf')

    def read(self):
        self.tried = time.monotonic()
        with urllib.request.urlopen(f'{URL}/.well-known/jwks.json', timeout=3) as answer:
            found = json.load(answer)['keys']
        self.keys = {one['kid']: Ed25519PublicKey.from_public_bytes(decoded(one['x'])) for one in found
                     if (one['kty'], one['crv'], one['alg']) == ('OKP', 'Ed25519', 'EdDSA')}

    def read_on(self):
        while True:
            try:
                self.read()
            except (OSError, ValueError, KeyError):
                pass
            time.sleep(15)

    def get(self, kid):
        if kid not in (self.keys or {}) and time.monotonic() - self.tried > 5:
            try:
                self.read()
            except (OSError, ValueError, KeyError):
                pass
        return (self.keys or {}).get(kid)


revocations, keys = Revocations(), Keys()


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_text(value):
    return isinstance(value, str) and value != ''


def is_valid(claims, now):
    return (isinstance(claims, dict) and claims.get('token_type') == 'access' and claims.get('iss') == ISSUER
            and claims.get('aud') == AUDIENCE and all(is_text(claims.get(name)) for name in ('sub', 'sid', 'jti'))
            and all(is_whole(claims.get(name)) for name in ('iat', 'exp', 'auth_time')) and isinstance(claims.get('amr'), list)
            and isinstance(claims.get('otp_required'), bool)
            and (claims.get('otp_device_id', 0) is None or isinstance(claims.get('otp_device_id'), str))
            and (claims.get('otp_time', '') is None or is_whole(claims.get('otp_time')))
            and ('phr_time' not in claims or is_whole(claims['phr_time']))
            and now < claims['exp'] and claims['iat'] <= now + 60 and claims['iat'] > now - revocations.keep)


def opened(token):
    invalid = Refused(401, 'TOKEN_INVALID', 'Bearer error="invalid_token"')
    try:
        head, body, signature = token.split('.')
        header = json.loads(decoded(head))
        if set(header) != {'alg', 'typ', 'kid'} or (header['alg'], header['typ']) != ('EdDSA', 'at+jwt'):
            raise invalid
        key = keys.get(header['kid'])
        if key is None:
            raise invalid
        key.verify(decoded(signature), f'{head}.{body}'.encode())
        claims = json.loads(decoded(body))
    except (ValueError, TypeError, InvalidSignature):
        raise invalid from None
    if not is_valid(claims, revocations.now()):
        raise invalid
    return claims


def demand(claims, required=False, passkey=False, max_age=None):
    now, verified = revocations.now(), claims['otp_device_id'] is not None

    def is_recent(at):
        return at is not None and (max_age is None or now - at <= max_age)

    def insufficient(code, more=''):
        age = '' if max_age is None else f', max_age="{max_age}"'
        return Refused(403, code, f'Bearer error="insufficient_user_authentication"{more}{age}')

    if passkey and (verified or claims['otp_required']):
        if not (verified and is_recent(claims.get('phr_time'))):
            raise insufficient('PHISHING_RESISTANT_REQUIRED', ', acr_values="phr"')
        return
    if not verified and (claims['otp_required'] or required or passkey):
        raise insufficient('OTP_REQUIRED')
    if not is_recent(claims['otp_time'] if verified else claims['auth_time']):
        raise insufficient('OTP_STALE')


def check(authorization, path):
    if revocations.is_stale() or keys.keys is None:
        raise Refused(503, 'UNAVAILABLE')
    scheme, _, token = authorization.partition(' ')
    claims = opened(token if scheme.lower() == 'bearer' else '')
    if revocations.revokes(claims):
        raise Refused(401, 'SESSION_ENDED', 'Bearer error="invalid_token"')
    demand(claims, path == '/required', path == '/passkey', int(path[1:]) if path[1:].isdigit() else None)
    return claims


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        try:
            status, challenge, body = 200, None, {'user': check(self.headers.get('Authorization', ''), self.path)['sub']}
        except Refused as refused:
            status, challenge, body = refused.status, refused.challenge, {'statusCode': refused.status, 'code': refused.code}
        text = json.dumps(body).encode()
        self.send_response(status)
        if challenge is not None:
            self.send_header('WWW-Authenticate', challenge)
        if status == 503:
            self.send_header('Retry-After', '1')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


threading.Thread(target=revocations.follow, daemon=True).start()
threading.Thread(target=keys.read_on, daemon=True).start()
http.server.ThreadingHTTPServer(('127.0.0.1', PORT), Handler).serve_forever()
