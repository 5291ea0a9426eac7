\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(1);

-- given events of this minute, of the one before, and of more than an hour ago
select pg_temp.given_rule();
insert into marketplace.webhook_events (organization_id, integration_id, provider, event_type, dedupe_key, created_at, processed, processed_at, job_count)
select i.organization_id, i.id, i.provider, e.type, e.n::text, date_trunc('minute', now()) - e.ago, e.n = 1, case e.n when 1 then now() end, e.n
from marketplace.integrations as i,
  (values ('a', interval '0', 1), ('a', '0', 2), ('b', '0', 3), ('a', '1 minute', 4), ('a', '2 hours', 5)) as e (type, ago, n)
where i.slug = 'acme-files';

-- then
select set_eq(
  $$ select minute - date_trunc('minute', now()), event_type, event_count, waiting_count,
       job_count
       from marketplace.v_event_rates where provider = 'acme' $$,
  $$ values
    (interval '0', 'a', 2::bigint, 1::bigint, 3::bigint), ('0', 'b', 1, 1, 3), ('-1 minute', 'a', 1, 1, 4) $$,
  'each minute of the last hour, by provider and type'
);

select * from finish();
rollback;
