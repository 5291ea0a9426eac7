begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(7);

-- when, then
select lives_ok(
  $$ select marketplace.configure_platform('https://project.example/functions/v1/') $$,
  'a platform is told where its functions are'
);
select is(
  marketplace.dispatch_settings() ->> 'functions_url',
  'https://project.example/functions/v1', 'without a slash at the end'
);
select lives_ok(
  $$ select marketplace.configure_platform('http://127.0.0.1:24960/functions/v1') $$,
  'it can be told again'
);
select is(
  marketplace.dispatch_settings() ->> 'functions_url',
  'http://127.0.0.1:24960/functions/v1', 'the last word counts'
);
select throws_ok(
  $$ select marketplace.configure_platform('project.example') $$,
  'MK400', 'functions URL ''project.example'' is not an http(s) URL', 'what is no URL is named'
);
select throws_ok(
  $$ select marketplace.configure_platform(null) $$,
  'MK400', 'functions URL null is not an http(s) URL', 'so is nothing'
);
select throws_ok(
  $$ select marketplace.configure_platform('https://x.example/?a=1') $$,
  'MK400', null, 'a base has no query'
);

select * from finish();
rollback;
