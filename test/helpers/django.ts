import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import { openDjango } from '../../src/imports/django/source.js'
import { type ImportOptions } from '../../src/imports/importer.js'
import type { App } from './app.js'
import { freshDatabase, type TestDatabase } from './database.js'
import { importInto, type Imported } from './imports.js'

const FIXTURES = join(import.meta.dirname, '..', '..', '..', 'test', 'fixtures')

/** Credentials of a user in the dump. */
export interface DjangoPerson {
  username: string
  /** Null if no password works. */
  password: string | null
  active: boolean
  staff: boolean
  devices: Array<{ id: number, hex: string, digits: number, confirmed: boolean }>
  recoveryCodes: string[]
}

export const people = JSON.parse(readFileSync(join(FIXTURES, 'django-accounts.json'), 'utf8')) as DjangoPerson[]
/** One of each kind: the others repeat them. */
export const onePersonOfEachKind: readonly DjangoPerson[] = [...people.slice(0, 8), people[9]!]

/** Creates a database from a Django dump of 14 users. */
export async function djangoDump (t: Pick<Test, 'teardown'>): Promise<TestDatabase & { url: string }> {
  const db = await freshDatabase(t)
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  // Between statements are blocks of rows in psql's format: tabs between columns, \N for null, \. at the end.
  for (const part of readFileSync(join(FIXTURES, 'django-accounts.sql'), 'utf8').split(/^(?=COPY )|^\\\.$/m)) {
    const [, table = '', columns = '', rows = ''] = /^COPY (\S+) \((.*?)\) FROM stdin;\n(.*)$/s.exec(part) ?? []
    if (table === '') await client.query(part)
    for (const row of rows.split('\n').filter(Boolean)) {
      const values = row.split('\t').map((value) => value === '\\N' ? null : value)
      await client.query(`insert into ${table} (${columns}) values (${values.map((_, i) => `$${i + 1}`).join(', ')})`, values)
    }
  }
  await client.end()
  return db
}

/** Creates a database like that of a large Django deployment: seven of ten users have a device and five codes. */
export async function generateDjango (url: string, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(generated(count))
  await client.end()
}

const generated = (count: number) => `
  create table auth_user (id serial primary key, password varchar(128), last_login timestamptz, is_superuser bool default false,
      username varchar(150) unique,
    first_name varchar(150), last_name varchar(150), email varchar(254), is_staff bool default false, is_active bool default true,
      date_joined timestamptz default now());
  create table account_userprofile (id bigserial primary key, email varchar(128), phone varchar(64),
      first_name varchar(128), last_name varchar(128),
    created_at timestamptz default now(), updated_at timestamptz default now(), power_account_id int, power_contact_id int,
      is_otp_enabled bool, user_id int unique);
  create table account_useroauthprofile (id bigserial primary key, oauth_service_name varchar(100), oauth_url varchar(200),
      oauth_credentials text, user_id int);
  create table otp_totp_totpdevice (id serial primary key, name varchar(64), confirmed bool, key varchar(80),
      step smallint default 30, t0 bigint default 0,
    digits smallint default 6, tolerance smallint default 1, drift smallint default 0, last_t bigint default -1, user_id int);
  create table otp_static_staticdevice (id serial primary key, name varchar(64), confirmed bool default true, user_id int);
  create table otp_static_statictoken (id serial primary key, token varchar(16), device_id int);
  insert into auth_user (password, username, first_name, last_name, email)
    select 'pbkdf2_sha256$1000000$' || md5(i::text) || '$' || encode(sha256(i::text::bytea), 'base64'),
      'User.' || i, 'First' || i, 'Last' || i, 'user' || i || '@example.org'
    from generate_series(1, ${count}) i;
  insert into account_userprofile (email, phone, first_name, last_name, power_account_id, power_contact_id, is_otp_enabled, user_id)
    select email, '+47' || id, first_name, last_name, id, id, true, id from auth_user;
  insert into account_useroauthprofile (oauth_service_name, oauth_url, oauth_credentials, user_id)
    select 'github', 'https://github.com/u' || id, '{"access_token": "' || md5(id::text) || '"}', id from auth_user where id % 10 < 3;
  insert into otp_totp_totpdevice (name, confirmed, key, drift, user_id)
    select 'phone', id % 10 < 7, substr(encode(sha256(('k' || id)::bytea), 'hex'), 1, 40), id % 2, id from auth_user where id % 10 < 8;
  insert into otp_static_staticdevice (name, user_id) select 'Static', id from auth_user where id % 10 < 8;
  insert into otp_static_statictoken (token, device_id)
    select translate(substr(md5(id || '-' || n), 1, 8), '0189', 'wxyz'), id from otp_static_staticdevice, generate_series(1, 5) n;
  create index on otp_totp_totpdevice (user_id); create index on otp_static_staticdevice (user_id);
  create index on otp_static_statictoken (device_id); create index on account_useroauthprofile (user_id); analyze`

/** Imports a Django deployment into the database of an app, with its keys. */
export const bringOver = async (app: App, from: string, options: Partial<ImportOptions> = {}): Promise<Imported> =>
  await importInto(app, await openDjango(from, async () => '', 1), options)
