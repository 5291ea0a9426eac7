-- The tenant: an organization and its members. Everything else belongs to exactly one organization.

create table marketplace.organizations (
  id uuid primary key default marketplace.uuid_v7(),
  slug text not null unique check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  name text not null check (name <> ''),
  is_default boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
comment on table marketplace.organizations is
  'The tenant: a brand, a customer, a workspace. Members read what is theirs; the service role writes.';
comment on column marketplace.organizations.is_default is
  'The platform''s own organization: what is registered without naming a tenant belongs to it.';
create unique index organizations_default_key on marketplace.organizations (is_default) where is_default;
create trigger organizations_touch before update on marketplace.organizations
  for each row execute function marketplace._touch_updated_at();

insert into marketplace.organizations (slug, name, is_default) values ('default', 'Default organization', true);

create table marketplace.organization_members (
  organization_id uuid not null references marketplace.organizations (id) on delete cascade,
  user_id uuid not null,
  role text not null default 'member' check (role in ('owner', 'admin', 'member', 'viewer')),
  created_at timestamptz not null default now(),
  primary key (organization_id, user_id)
);
comment on table marketplace.organization_members is
  'Who belongs to an organization, and as what. Members see each other; the service role writes.';
comment on column marketplace.organization_members.user_id is 'auth.users.id of the member.';
comment on column marketplace.organization_members.role is
  'owner and admin manage keys and what is shared, member runs actions with it, viewer only those that read.';
create index organization_members_user_id_idx on marketplace.organization_members (user_id);

create function marketplace._default_organization_id()
returns uuid
language plpgsql
stable
set search_path = ''
as $$
begin
  return (select o.id from marketplace.organizations as o where o.is_default);
end
$$;
comment on function marketplace._default_organization_id() is 'The platform''s own organization.';

create function marketplace.my_organization_ids()
returns setof uuid
language plpgsql
stable
security definer -- reads memberships for the policies on memberships themselves, of the caller only
set search_path = ''
as $$
begin
  return query
  select m.organization_id
  from marketplace.organization_members as m
  where m.user_id = (select auth.uid());
end
$$;
comment on function marketplace.my_organization_ids() is 'The organizations of the signed-in user; empty for anybody else.';

create function marketplace.add_member(p_organization_slug text, p_user_id uuid, p_role text default 'member')
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_organization_id uuid;
begin
  select o.id into v_organization_id from marketplace.organizations as o where o.slug = p_organization_slug;
  if v_organization_id is null then
    raise exception 'organization % does not exist', coalesce(quote_literal(p_organization_slug), 'null')
      using errcode = 'MK404', hint = 'Insert it into marketplace.organizations first.';
  end if;
  insert into marketplace.organization_members (organization_id, user_id, role)
  values (v_organization_id, p_user_id, p_role)
  on conflict (organization_id, user_id) do update set role = excluded.role;
end
$$;
comment on function marketplace.add_member(text, uuid, text) is 'Adds a user to an organization, or changes the role.';

alter table marketplace.organizations enable row level security;
alter table marketplace.organization_members enable row level security;

create policy "members read their organizations" on marketplace.organizations
  for select to authenticated
  using (id in (select marketplace.my_organization_ids()));
create policy "members see who else is a member" on marketplace.organization_members
  for select to authenticated
  using (organization_id in (select marketplace.my_organization_ids()));

revoke all on all functions in schema marketplace from public;
grant select on marketplace.organizations, marketplace.organization_members to authenticated;
grant select, insert, update, delete on marketplace.organizations, marketplace.organization_members to service_role;
grant execute on function marketplace.my_organization_ids() to authenticated, service_role;
grant execute on function marketplace.add_member(text, uuid, text) to service_role;
grant execute on function marketplace._default_organization_id() to service_role;
