begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(6);

-- given a platform that knows where its functions are, and a bell that has been silent
do $$ begin perform marketplace.configure_platform('https://project.example/functions/v1/'); end $$;
update marketplace.dispatcher_state set rung_at = '-infinity', polling_until = '-infinity';
create temp table before as select coalesce(max(id), 0) as id from net.http_request_queue;
create temp view ring as select q.* from net.http_request_queue as q
where q.id > (select id from before);

-- when it rings
create temp table request as select marketplace.ring_dispatch() as id;

-- then
select results_eq(
  'select q.id, q.method::text, q.url, q.timeout_milliseconds from ring as q',
  $$ select id, 'POST', 'https://project.example/functions/v1/marketplace-dispatch', 2000
       from request $$,
  'pg_net is asked to post to the dispatcher'
);
select is(
  (select headers from ring),
  jsonb_build_object(
    'content-type', 'application/json', 'authorization', 'Bearer ' || (marketplace.dispatch_settings() ->> 'ring_key')
  ),
  'with the key that the dispatcher knows'
);
select is(
  (select convert_from(body, 'UTF8') from ring),
  '{}', 'and nothing else: what there is to do stands in our tables'
);
select is(
  (select ring_request_id from marketplace.dispatcher_state),
  (select id from request), 'which ring was the last is noted'
);
select matches(
  marketplace.dispatch_settings() ->> 'ring_key',
  '^mpr_[0-9a-f]{64}$', 'the key is random'
);

-- when nobody has said where the functions are
delete from vault.secrets where name = 'marketplace_functions_url';
select is(
  marketplace.ring_dispatch(),
  null, 'a platform that does not know its functions rings nobody'
);

select * from finish();
rollback;
