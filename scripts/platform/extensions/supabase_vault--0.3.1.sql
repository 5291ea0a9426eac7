-- The API of supabase_vault 0.3 on pgcrypto. The key stands in a file outside the database, named
-- by the server setting `vault.key_file`: a dump or a copied data directory opens nothing.
-- See https://github.com/supabase/vault
\echo Use "create extension supabase_vault" to load this file. \quit

-- In plpgsql, which keeps its plans: the real one is C, and secrets are read before every call.

-- One sub-key for each purpose out of the key file.
create function vault._key(purpose text) returns bytea
language plpgsql stable
security definer -- only the superuser may read the server's files
set search_path = '' as $$
begin
  return extensions.hmac(
    purpose::pg_catalog.bytea,
    pg_catalog.pg_read_binary_file(pg_catalog.current_setting('vault.key_file')),
    'sha256');
end
$$;

-- Authenticated and deterministic (a synthetic IV): HMAC over nonce, additional data and message
-- is both the IV of AES-256-CBC and the proof that neither was changed. The result is IV || text.
create function vault._siv(message bytea, additional bytea, context bytea, nonce bytea)
returns bytea
language plpgsql stable
security definer -- reads the key
set search_path = '' as $$
begin
  return pg_catalog.substr(
    extensions.hmac(
      pg_catalog.int4send(pg_catalog.length(additional)) || additional
        || pg_catalog.int4send(pg_catalog.length(coalesce(nonce, ''))) || coalesce(nonce, '')
        || message,
      vault._key('mac:' || pg_catalog.encode(context, 'hex')),
      'sha256'),
    1, 16);
end
$$;

create function vault._crypto_aead_det_encrypt(
  message bytea, additional bytea, key_id bigint,
  context bytea default 'pgsodium', nonce bytea default null
)
returns bytea
language sql stable
security definer -- reads the key
set search_path = '' as $$
  select siv.v || extensions.encrypt_iv(
    message, vault._key('enc:' || pg_catalog.encode(context, 'hex')), siv.v, 'aes-cbc/pad:pkcs')
  from (select vault._siv(message, additional, context, nonce)) as siv (v)
$$;

create function vault._crypto_aead_det_decrypt(
  message bytea, additional bytea, key_id bigint,
  context bytea default 'pgsodium', nonce bytea default null
)
returns bytea
language plpgsql stable
security definer -- reads the key
set search_path = '' as $$
declare
  v_iv bytea := pg_catalog.substr(message, 1, 16);
  v_text bytea;
begin
  if message is null then
    return null;
  end if;
  begin
    v_text := extensions.decrypt_iv(
      pg_catalog.substr(message, 17),
      vault._key('enc:' || pg_catalog.encode(context, 'hex')), v_iv, 'aes-cbc/pad:pkcs');
  exception when external_routine_invocation_exception then
    v_text := null; -- wrong padding says the same as a wrong tag, so it is reported as one
  end;
  if v_text is null or vault._siv(v_text, additional, context, nonce) <> v_iv then
    raise exception 'pgsodium_crypto_aead_det_decrypt_by_id: invalid ciphertext'
      using errcode = '22000', hint = 'The key file is not the one this secret was written with.';
  end if;
  return v_text;
end
$$;

create function vault._crypto_aead_det_noncegen() returns bytea
language sql volatile set search_path = '' as $$ select extensions.gen_random_bytes(16) $$;

create table vault.secrets (
  id uuid primary key default gen_random_uuid(),
  name text,
  description text not null default '',
  secret text not null,
  key_id uuid,
  nonce bytea default vault._crypto_aead_det_noncegen(),
  created_at timestamptz not null default current_timestamp,
  updated_at timestamptz not null default current_timestamp
);
comment on table vault.secrets is
  'Table with encrypted `secret` column for storing sensitive information on disk.';
create unique index on vault.secrets (name) where name is not null;

create view vault.decrypted_secrets as
select
  s.id,
  s.name,
  s.description,
  s.secret,
  convert_from(
    vault._crypto_aead_det_decrypt(
      message := decode(s.secret, 'base64'),
      additional := convert_to(s.id::text, 'utf8'),
      key_id := 0,
      context := 'pgsodium'::bytea,
      nonce := s.nonce),
    'utf8') as decrypted_secret,
  s.key_id,
  s.nonce,
  s.created_at,
  s.updated_at
from vault.secrets s;

create function vault.create_secret(
  new_secret text,
  new_name text default null,
  new_description text default '',
  new_key_id uuid default null
)
returns uuid
language plpgsql
security definer -- callers may not write vault.secrets
set search_path = '' as $$
declare
  v_id uuid := pg_catalog.gen_random_uuid();
  v_nonce bytea := vault._crypto_aead_det_noncegen();
begin
  -- The real one inserts the plain text and encrypts it by update; this one never writes it.
  insert into vault.secrets (id, secret, name, description, nonce)
  values (
    v_id,
    pg_catalog.encode(
      vault._crypto_aead_det_encrypt(
        message := pg_catalog.convert_to(new_secret, 'utf8'),
        additional := pg_catalog.convert_to(v_id::text, 'utf8'),
        key_id := 0,
        nonce := v_nonce),
      'base64'),
    new_name, new_description, v_nonce
  );
  return v_id;
end
$$;

create function vault.update_secret(
  secret_id uuid,
  new_secret text default null,
  new_name text default null,
  new_description text default null,
  new_key_id uuid default null
)
returns void
language plpgsql
security definer -- callers may not write vault.secrets
set search_path = '' as $$
begin
  update vault.secrets s
  set
    secret = case
      when new_secret is null then s.secret
      else pg_catalog.encode(
        vault._crypto_aead_det_encrypt(
          message := pg_catalog.convert_to(new_secret, 'utf8'),
          additional := pg_catalog.convert_to(s.id::text, 'utf8'),
          key_id := 0,
          nonce := s.nonce),
        'base64')
    end,
    name = coalesce(new_name, s.name),
    description = coalesce(new_description, s.description),
    updated_at = pg_catalog.now()
  where s.id = secret_id;
end
$$;

revoke all on all functions in schema vault from public;
-- The grants of hosted Supabase, to the letter.
grant usage on schema vault to postgres with grant option;
grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
grant execute on function
  vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt
  to postgres with grant option;
grant usage on schema vault to service_role;
grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
grant execute on function
  vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt
  to service_role;

select pg_catalog.pg_extension_config_dump('vault.secrets', '');
