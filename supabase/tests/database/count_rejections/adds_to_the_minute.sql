begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(5);

-- given
create temp view counted as
select provider, reason, minute, rejection_count from marketplace.webhook_rejections
where provider in ('acme', 'zeta') order by provider, reason;

-- when, then
select is(
  marketplace.count_rejections('[
    {"provider": "acme", "reason": "signature_mismatch", "count": 2},
    {"provider": "acme", "reason": "signature_mismatch", "count": 1},
    {"provider": "zeta", "reason": "secret_missing", "count": 1}
  ]'),
  2, 'rows of one provider and reason go into one counter'
);
select results_eq(
  'table counted',
  $$ values ('acme', 'signature_mismatch', date_trunc('minute', now()), 3::bigint),
            ('zeta', 'secret_missing', date_trunc('minute', now()), 1::bigint) $$,
  'counters are kept by minute'
);
select is(
  marketplace.count_rejections('[{"provider": "acme", "reason": "signature_mismatch", "count": 4}]'), 1,
  'a counter that moved is counted'
);
select results_eq(
  $$ select rejection_count from counted where provider = 'acme' $$,
  array[7::bigint],
  'later rejections add up'
);
select is(
  marketplace.count_rejections('[{"provider": "acme", "reason": "x", "count": 0}, {"provider": null, "reason": "x", "count": 1}, {}]'), 0,
  'what counts nothing or names nobody is ignored'
);

select * from finish();
rollback;
