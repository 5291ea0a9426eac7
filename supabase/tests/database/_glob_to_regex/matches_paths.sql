begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(63);

-- given globs, paths, and whether the one matches the other
create temp table expectation (glob text, path text, is_match boolean, rule text);
insert into expectation values
  -- no wildcard
  ('artifacts/a', 'artifacts/a', true, 'a glob without wildcards matches itself'),
  ('artifacts/a', 'artifacts/ab', false, 'it matches to the end'),
  ('artifacts/a', 'xartifacts/a', false, 'and from the start'),
  ('a.txt', 'abtxt', false, 'a dot is a dot'),
  ('a+b(c)|d^e$f', 'a+b(c)|d^e$f', true, 'signs of regular expressions mean themselves'),
  ('a\d', 'a\d', true, 'a backslash is a backslash'),
  ('a\d', 'a1', false, 'and no escape'),
  ('Größe/ñ', 'Größe/ñ', true, 'letters beyond ASCII match themselves'),
  ('A', 'a', false, 'case matters'),
  -- *
  ('artifacts/*', 'artifacts/build', true, '* matches a name'),
  ('artifacts/*', 'artifacts/', true, '* matches the empty name'),
  ('artifacts/*', 'artifacts/a/b', false, '* stays within its segment'),
  ('*', 'a', true, '* alone matches one segment'),
  ('*', 'a/b', false, 'but not two'),
  ('*.zip', 'a.zip', true, '* matches before a suffix'),
  ('*.zip', 'a.zip.txt', false, 'which ends the name'),
  ('a*c', 'abbbc', true, '* matches in the middle'),
  ('a*c', 'ac', true, 'of nothing, too'),
  ('*/*/c', 'a/b/c', true, 'each * has its segment'),
  -- ?
  ('a?c', 'abc', true, '? matches one character'),
  ('a?c', 'ac', false, 'not none'),
  ('a?c', 'abbc', false, 'not two'),
  ('a?c', 'a/c', false, 'and never a slash'),
  ('?', 'ß', true, '? matches one character beyond ASCII'),
  -- **
  ('**', '', true, '** matches nothing'),
  ('**', 'a', true, '** matches a name'),
  ('**', 'a/b/c', true, '** crosses segments'),
  ('artifacts/**', 'artifacts/a/b', true, '** at the end takes all below'),
  ('artifacts/**', 'artifacts', false, 'but not the folder''s own name'),
  ('artifacts/**', 'artifactsx/a', false, 'nor a neighbour'),
  ('**/c', 'c', true, '**/ matches no folder'),
  ('**/c', 'a/b/c', true, '**/ matches folders'),
  ('**/c', 'a/bc', false, '**/ ends at a slash'),
  ('a/**/c', 'a/c', true, '/**/ matches no folder'),
  ('a/**/c', 'a/x/y/c', true, '/**/ matches folders'),
  ('a/**/c', 'a/xc', false, '/**/ ends at a slash'),
  ('a**c', 'a/b/c', true, '** within a segment crosses it'),
  -- {}
  ('{a,b}.txt', 'a.txt', true, '{} matches its first'),
  ('{a,b}.txt', 'b.txt', true, 'its second'),
  ('{a,b}.txt', 'c.txt', false, 'and nothing else'),
  ('{a,b}.txt', '{a,b}.txt', false, 'nor itself'),
  ('{a*,b/?}', 'b/x', true, '{} holds wildcards and slashes'),
  ('{a,}b', 'b', true, '{} may match nothing'),
  ('{a,{b,c}}d', 'cd', true, '{} nests'),
  ('a,b', 'a,b', true, 'a comma outside of {} is a comma'),
  ('a}b', 'a}b', true, 'so is a lonely }'),
  ('a{b', 'a{b', true, 'and a lonely {'),
  -- []
  ('[abc]', 'b', true, '[] matches one of its characters'),
  ('[abc]', 'd', false, 'and no other'),
  ('[a-c]x', 'bx', true, '[] knows ranges'),
  ('[!abc]', 'd', true, '[!] matches any other character'),
  ('[!abc]', 'a', false, 'but not those'),
  ('[!abc]', '/', false, 'and never a slash'),
  ('[^abc]', '/', false, 'nor does [^]'),
  ('[*]', '*', true, 'a wildcard in [] means itself'),
  ('[*]', 'a', false, 'and nothing else'),
  ('a[b', 'a[b', true, 'a lonely [ is a ['),
  ('a]b', 'a]b', true, 'so is a lonely ]'),
  ('[]', '[]', true, 'and an empty []'),
  ('[a/b]', '[a/b]', true, 'and one with a slash in it');

-- then
select is(path ~ marketplace._glob_to_regex(glob), is_match, format('%s %s %s: %s', glob, case when is_match then '=' else '≠' end, path, rule))
from expectation;

select is(
  marketplace._glob_to_regex('a/**/{b,c}*.[!x]?'), '^a/(?:[^/]+/)*(?:b|c)[^/]*\.[^/x][^/]$',
  'the regular expression is anchored and in the part of the language that JavaScript shares'
);
select is_empty(
  $$ select slug from marketplace.integrations, lateral marketplace._glob_to_regex(slug) as r
       where slug !~ r $$,
  'a slug without wildcards is matched by itself'
);
select is(
  (select provolatile from pg_catalog.pg_proc where oid = 'marketplace._glob_to_regex(text)'::regprocedure), 'i'::"char",
  'the same glob is always the same expression'
);

select * from finish();
rollback;
