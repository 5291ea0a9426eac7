begin;
create extension if not exists pgtap with schema extensions;
set local search_path = extensions;
select plan(9);

-- given a drive that is followed, by a platform that knows where its functions are
do $$
begin
  perform marketplace.configure_platform('https://project.example/functions/v1');
  perform marketplace.register_integration('acme-drive', 'Drive', 'google_drive', 'storage');
  perform marketplace.watch('acme-drive');
end
$$;
create temp table before as select coalesce(max(id), 0) as id from net.http_request_queue;
create temp view ring as select q.* from net.http_request_queue as q
where q.id > (select id from before) and q.url like '%/marketplace-maintain';
create temp view followed as select c.* from marketplace.sync_cursors as c
join marketplace.integrations as i on i.id = c.integration_id where i.slug = 'acme-drive';
delete from marketplace.sync_cursors where id <> (select id from followed);
delete from marketplace.provider_webhooks;
delete from marketplace.sync_rules where schedule is not null;

-- then
select isnt(marketplace.sweep_feeds(), null, 'a cursor that is due is work');
update marketplace.sync_cursors set due_at = now() + interval '1 minute' where id = (select id from followed);
select is(marketplace.sweep_feeds(), null, 'one whose time has not come is not');
select is(marketplace.next_cursor_due_at(), now() + interval '1 minute', 'that time is known');
update marketplace.sync_cursors set lease_id = gen_random_uuid(), lease_until = now() where id = (select id from followed);
select isnt(marketplace.sweep_feeds(), null, 'one that somebody left in the middle is');
update marketplace.sync_cursors set lease_until = now() + interval '1 minute' where id = (select id from followed);
select is(marketplace.sweep_feeds(), null, 'one that is being pulled is not');
update marketplace.sync_cursors set lease_id = null, lease_until = null, cursor = '1', status = 'active' where id = (select id from followed);
select isnt(marketplace.sweep_feeds(), null, 'one without a channel wants one');
update marketplace.sync_cursors set channel_retry_at = now() + interval '1 minute' where id = (select id from followed);
select is(marketplace.sweep_feeds(), null, 'but not while the provider has just refused');
update marketplace.integrations set status = 'inactive' where slug = 'acme-drive';
update marketplace.sync_cursors set due_at = now(), channel_retry_at = now() where id = (select id from followed);
select is(marketplace.sweep_feeds(), null, 'nothing of an inactive integration is work');
select is((select count(*) from ring)::int, 3, 'each ring went to marketplace-maintain');

select * from finish();
rollback;
