\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(33);

select pg_temp.given_organizations();
do $$
begin
  perform marketplace.create_api_key('red key', 'red'), marketplace.create_api_key('blue key', 'blue');
end
$$;

select pg_temp.check_access(
  'api_keys', 'name = name',
  $$ insert into marketplace.api_keys (organization_id, name, prefix, key_hash)
     values (md5('red')::uuid, 'more', 'mpk_00000000', sha256('x')) $$,
  p_sees => '{"an owner": ["red"], "a stranger": ["blue"], "everybody": []}'
);

select pg_temp.become('an owner');
select throws_ok(
  'select key_hash from marketplace.api_keys',
  '42501', null, 'an owner does not see the hash of a key'
);
select throws_ok(
  'select * from marketplace.api_keys',
  '42501', null, 'nor by asking for everything'
);
select lives_ok(
  $$ select marketplace.create_api_key('another', 'red') $$,
  'an owner makes keys of the own organization'
);
select throws_ok(
  $$ select marketplace.create_api_key('another', 'blue') $$,
  'MK404', null, 'and of no other'
);
select pg_temp.become('a member');
select throws_ok(
  $$ select marketplace.create_api_key('another', 'red') $$,
  'MK403', null, 'a member makes none'
);

select * from finish();
rollback;
