begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(12);

-- then, what a pattern is found by
select is(
  marketplace._pattern_key('artifacts/*'),
  'artifacts/', 'the folders before the first wildcard'
);
select is(marketplace._pattern_key('artifacts/build-*/x'), 'artifacts/', 'whole folders only');
select is(marketplace._pattern_key('a/b/{c,d}'), 'a/b/', 'a choice is a wildcard');
select is(marketplace._pattern_key('a/b?/c'), 'a/', 'so is ?');
select is(marketplace._pattern_key('a/[bc]/d'), 'a/', 'so is []');
select is(marketplace._pattern_key('*'), '', 'nothing, if the first folder is one');
select is(
  marketplace._pattern_key('refs/heads/main'),
  'refs/heads/main', 'itself, if there is none'
);

-- then, where a path looks
select set_eq(
  $$ select unnest(marketplace._path_keys('a/b/c')) $$, array['', 'a/', 'a/b/', 'a/b/c'],
  'a path looks under each folder above it and under itself'
);
select set_eq(
  $$ select unnest(marketplace._path_keys('a/b/')) $$,
  array['', 'a/', 'a/b/'], 'a collection is its own folder'
);
select set_eq(
  $$ select unnest(marketplace._path_keys('')) $$,
  array[''], 'an empty path has one key'
);

-- then, together
create temp table pattern as
select unnest(array['a/*/c', 'a/**', '**', '*/b/c', 'a/b/c', 'a/b/[c]', '{a,x}/b/c', 'a/b/?']) as glob;
select is_empty(
  $$ select glob from pattern where 'a/b/c' !~ marketplace._glob_to_regex(glob) $$,
  'given patterns that match a path'
);
select is_empty(
  $$ select glob from pattern
       where marketplace._pattern_key(glob) <> all (marketplace._path_keys('a/b/c')) $$,
  'each of them is found among the path''s keys'
);

select * from finish();
rollback;
