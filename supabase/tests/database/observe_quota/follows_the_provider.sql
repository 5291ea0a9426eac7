\ir ../acme.psql
begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(10);

-- given an integration
select pg_temp.given_rule();
create function pg_temp.observe(p_remaining bigint, p_resets_in interval, p_limit bigint default 100) returns void language sql as $$
  select marketplace.observe_quota(id, 'core', p_limit, p_remaining, now() + p_resets_in) from marketplace.integrations where slug = 'acme-files'
$$;
create temp view quota as
select limit_count, used_count, remaining_count, usage_percent from marketplace.v_quota_status where integration = 'acme-files';

-- when, then
do $$ begin perform pg_temp.observe(80, '1 hour'); end $$;
select results_eq(
  'table quota',
  $$ values (100::bigint, 20::bigint, 80::bigint, 20.0) $$, 'what the provider says is kept'
);
do $$ begin perform pg_temp.observe(70, '1 hour'), pg_temp.observe(75, '1 hour'); end $$;
select results_eq(
  'select used_count from quota',
  array[30::bigint], 'within a window an older answer does not turn it back'
);
do $$ begin perform pg_temp.observe(99, '2 hours'); end $$;
select results_eq('select used_count from quota', array[1::bigint], 'a new window starts anew');
do $$ begin perform pg_temp.observe(0, '2 hours'); end $$;
select results_eq(
  'table quota',
  $$ values (100::bigint, 100::bigint, 0::bigint, 100.0) $$, 'a limit can be spent'
);
do $$ begin perform pg_temp.observe(500, '3 hours'); end $$;
select results_eq(
  'select used_count from quota',
  array[0::bigint], 'more than the limit can be left: then none is used'
);
select is(
  (select count(*) from marketplace.api_quotas as q join marketplace.integrations as i on i.id = q.integration_id where i.slug = 'acme-files')::int,
  1, 'a quota is one row'
);

-- when its window is over
do $$ begin perform pg_temp.observe(10, '4 hours'); end $$;
update marketplace.api_quotas set window_started_at = now() - interval '2 hours', resets_at = now() - interval '1 hour'
where integration_id = (select id from marketplace.integrations where slug = 'acme-files');
select results_eq(
  'table quota',
  $$ values (100::bigint, 0::bigint, 100::bigint, 0.0) $$, 'after its end everything is left'
);

-- what says nothing
select lives_ok($$ select pg_temp.observe(1, '1 hour', 0) $$, 'a limit of nothing is ignored');
select lives_ok($$ select pg_temp.observe(-1, '1 hour') $$, 'so is a negative rest');
select lives_ok(
  $$ select pg_temp.observe(5, '-1 hour') $$,
  'a reset in the past is no reason to fail'
);

select * from finish();
rollback;
