\ir ../personas.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given an event of red and one of blue
select pg_temp.given_integrations();
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, correlation_id)
select organization_id, id, provider, 't', slug, md5(slug)::uuid from marketplace.integrations where provider = 'acme';
create function pg_temp.told(p_slug text) returns text language sql as $$
  select string_agg(stage, ' ') from marketplace.trace(md5(p_slug)::uuid)
$$;

select pg_temp.become('an owner');
select is(pg_temp.told('red-files'), 'stored', 'an owner is told the story of red');
select is(pg_temp.told('blue-files'), null, 'an owner is not told the story of blue');

select pg_temp.become('a stranger');
select is(pg_temp.told('red-files'), null, 'a stranger is not told the story of red');
select is(pg_temp.told('blue-files'), 'stored', 'a stranger is told the story of blue');

select pg_temp.become('a newcomer');
select is(pg_temp.told('red-files'), null, 'a newcomer is not told the story of red');
select is(pg_temp.told('blue-files'), null, 'a newcomer is not told the story of blue');

select pg_temp.become('anon');
select throws_ok($$ select pg_temp.told('red-files') $$, '42501', null, 'anon is told nothing');

select pg_temp.become('the service role');
select is(pg_temp.told('red-files'), 'stored', 'the service role is told the story of red');
select is(pg_temp.told('blue-files'), 'stored', 'and of blue');

select * from finish();
rollback;
