-- What a column means that stands in many tables: said once, wherever the table itself says nothing.

do $$
declare
  v_column record;
begin
  for v_column in
    select c.relname, a.attname, m.meaning
    from (values
      ('id', 'UUIDv7: sorts by the time of its creation.'),
      ('is_singleton', 'Always true: there is one row.'),
      ('slug', 'Its name in URLs and calls.'),
      ('name', 'For people.'),
      ('description', 'For people.'),
      ('created_at', 'By the database''s clock, as all times here that are not said to be another''s.'),
      ('updated_at', 'Moved on by a trigger with every update.'),
      ('organization_id', 'The tenant; who is not in it does not see the row.'),
      ('integration_id', 'Under which integration.'),
      ('connection_id', 'With which account.'),
      ('rule_id', 'Made by which rule.'),
      ('workflow_id', 'Who carries it out.'),
      ('correlation_id', 'Joins all that follows from one delivery: trace(…) tells of it.'),
      ('error_code', 'Of the last failure, for programs.'),
      ('error_message', 'Of the last failure, for people; holds no secret.'),
      ('failure_count', 'Failures since it last went well.'),
      ('lease_id', 'Who is at work on it; what another one reports is refused.'),
      ('lease_until', 'Then somebody else may take it over.')
    ) as m (name, meaning)
    join pg_catalog.pg_attribute as a on a.attname = m.name
    join pg_catalog.pg_class as c on c.oid = a.attrelid
    where c.relnamespace = 'marketplace'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and col_description(c.oid, a.attnum) is null
  loop
    execute format('comment on column marketplace.%I.%I is %L', v_column.relname, v_column.attname, v_column.meaning);
  end loop;
end
$$;
