begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(27);

-- given for each way of writing a pattern what all paths that it matches begin and end with
create temp table pattern (glob text, key text, rule text);
insert into pattern values
  ('refs/heads/main', 'refs/heads/main*', 'a pattern without wildcards is its own beginning'),
  ('artifacts/*', 'artifacts/*', 'the text before the first wildcard'),
  ('artifacts/build-*/x', 'artifacts/build-*x', 'up to within a folder, and the text after the last one'),
  ('*.zip', '*.zip', 'an end alone'),
  ('a/b?c', 'a/b*c', '? is a wildcard'),
  ('a/[bc]/d', 'a/*d', 'so is []'),
  ('a/**/d', 'a/*d', '**/ matches nothing at all, too: the slash is no part of the end'),
  ('**', '*', 'anything'),
  ('a/b/{c,d}', 'a/b/*', 'a choice is a wildcard'),
  ('{a,b}/c.zip', '*', 'and its end may belong to one of several'),
  ('{a,{b}.zip', '*', 'even where a brace is missing');

-- then
select is(marketplace._pattern_key(glob), key, rule) from pattern;
select is_empty(
  $$ select glob from pattern
     where marketplace._pattern_shape(glob)
       <> 1000 * length(split_part(marketplace._pattern_key(glob), '*', 1)) + length(split_part(marketplace._pattern_key(glob), '*', 2)) $$,
  'the shape says how long both are'
);

-- then, whatever a pattern matches leads to its key
create temp table path as
select unnest(array[
  '', 'a', 'a/b/c', 'a/d', 'a/x/y/d', 'a/b/d', 'a/bxc', 'refs/heads/main', 'artifacts/build-7/x', 'x.zip', 'a/c.zip', 'b.zip', 'a*b'
]) as path;
insert into pattern (glob)
select unnest(array['a/*/c', 'a/**', '*/b/c', 'a/b/[c]', '{a,x}/b/c', 'a/b/?', '**/d', 'a**d', 'a/**/*/d', '?*', '**/*.zip', 'a[*]b', '[!x]*/d']);
select is_empty(
  format(
    $$ select glob, path from pattern, path
       where path ~ marketplace._glob_to_regex(glob)
         and marketplace._pattern_key(glob)
           <> left(path, marketplace._pattern_shape(glob) / 1000) || '*' || right(path, marketplace._pattern_shape(glob) %% 1000) $$
  ),
  'a path has the key of each pattern that matches it'
);
select cmp_ok(
  (select count(*) from pattern, path where path ~ marketplace._glob_to_regex(glob)), '>', 30::bigint,
  'and many do match'
);

-- then, what event types are found by
select is(marketplace._event_type_key('{push}'), 'push', 'one event type is found by itself');
select is(marketplace._event_type_key('{push*}'), '', 'one that begins so is not');
select is(marketplace._event_type_key('{push,pull}'), '', 'nor are several');
select is(marketplace._event_type_key('{}'), '', 'nor any');
select is(
  t.type like any (marketplace._event_type_patterns(t.types)), t.fits,
  format('%s %s %s', t.type, case when t.fits then 'is one of' else 'is none of' end, t.types)
)
from (values
  ('push', '{push}'::text[], true), ('push', '{pull,push}', true), ('pushed', '{push}', false), ('pushed', '{push*}', true),
  ('a%c', '{a%c}', true), ('abc', '{a%c}', false), ('abc', '{a_c*}', false), ('a\c', '{a\\c*}', true), ('x', '{*}', true)
) as t (type, types, fits);

select * from finish();
rollback;
