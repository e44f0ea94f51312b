-- Who gets an event is decided by the version of its tenant's catalogue, and not by clocks.

-- The version that the event was matched against; null: it was accepted before there was this column.
alter table events add column catalogue_version bigint;

-- The version at which it was made or opened again: what is discarded is what was opened before another one. Null, if that was
-- before there was this column: then the time decides.
alter table deliveries add column opened_version bigint;

-- The version at which it was last changed, and the one before which all that was opened is discarded, however often it
-- is reactivated.
alter table subscriptions add column version bigint not null default 0;
alter table subscriptions add column discard_before bigint;
create index subscriptions_by_version on subscriptions (tenant_id, version);

-- The versions at which its own event types, and the secrets of its callbacks, were last changed.
alter table tenants add column types_version bigint not null default 0;
alter table tenants add column secrets_version bigint not null default 0;

-- What decided of a subscription who gets an event, from one version to the next. Below 1: pieced together by this migration.
create table subscription_versions (
    tenant_id uuid not null,
    subscription_id uuid not null,
    version bigint not null,
    event_type text collate "C" not null,
    profile text collate "C" not null,
    filters text collate "C" not null,
    -- Since when it has this format and filter.
    filters_since bigint not null,
    -- The code of `Standing`.
    standing bigint not null,
    at bigint not null,
    -- When the next one began: retention takes it a while after.
    until bigint,
    primary key (tenant_id, subscription_id, version)
);
create index subscription_versions_ended on subscription_versions (until) where until is not null;

-- Made.
insert into subscription_versions (tenant_id, subscription_id, version, event_type, profile, filters, filters_since, standing, at)
select tenant_id, id, -3, event_type, profile, filters, filters_changed_at,
    case when discard_through is null and (is_active = 0 or active_since > created_at) then 0 else 1 end, created_at
from subscriptions;
-- Deactivated for the last time.
insert into subscription_versions (tenant_id, subscription_id, version, event_type, profile, filters, filters_since, standing, at)
select tenant_id, id, case when is_active = 1 then -2 else -1 end, event_type, profile, filters, filters_changed_at, 0,
    discard_through
from subscriptions where discard_through is not null;
-- Activated for the last time.
insert into subscription_versions (tenant_id, subscription_id, version, event_type, profile, filters, filters_since, standing, at)
select tenant_id, id, case when is_active = 1 then -1 else -2 end, event_type, profile, filters, filters_changed_at, 1,
    active_since
from subscriptions where active_since > created_at;
-- Deleted.
insert into subscription_versions (tenant_id, subscription_id, version, event_type, profile, filters, filters_since, standing, at)
select tenant_id, id, 0, event_type, profile, filters, filters_changed_at, 2, deleted_at
from subscriptions where deleted_at is not null;
update subscription_versions set until = (
    select min(n.at) from subscription_versions n
    where n.tenant_id = subscription_versions.tenant_id and n.subscription_id = subscription_versions.subscription_id
        and n.version > subscription_versions.version);

-- Bulk work that a call left to be done afterwards.
create table bulk_jobs (
    id uuid not null primary key,
    tenant_id uuid not null,
    -- The code of `Job`: what is pending to the target is discarded, or goes into another lane.
    work bigint not null,
    target_kind bigint not null,
    target_id uuid not null,
    lane bigint not null,
    to_lane bigint,
    -- What was opened at an earlier version or, if that is not known, up to when the job was made.
    before_version bigint not null,
    reason text collate "C",
    created_at bigint not null
);

-- A clock that was set back: what waits is moved as much earlier, and how far that is. No row, or one.
create table clock_rollbacks (
    id bigint not null primary key,
    -- By how much, and to when.
    by_us bigint not null,
    at bigint not null,
    -- The last delivery that was looked at.
    tenant_id uuid not null,
    delivery_id uuid not null
);

-- Events that were opened again are looked at again by retention.
create index reopenings_by_time on reopenings (at, delivery_id);

-- Programs from before these columns may go on beside newer ones for a while: what they change of a subscription is noted here.
create function note_version_of_subscription() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.version is distinct from old.version or tg_op = 'INSERT' and new.version > 0 then
        return new;
    end if;
    new.version := (select catalogue_version from tenants where id = new.tenant_id);
    if tg_op = 'UPDATE' and (new.is_active, new.profile, new.filters, new.deleted_at)
            is not distinct from (old.is_active, old.profile, old.filters, old.deleted_at) then
        return new;
    end if;
    if tg_op = 'UPDATE' and old.is_active = 1 and new.is_active = 0 then
        new.discard_before := new.version;
    end if;
    update subscription_versions set until = new.updated_at
    where tenant_id = new.tenant_id and subscription_id = new.id and until is null;
    insert into subscription_versions (tenant_id, subscription_id, version, event_type, profile, filters, filters_since,
        standing, at)
    values (new.tenant_id, new.id, new.version, new.event_type, new.profile, new.filters, new.filters_changed_at,
        case when new.deleted_at is not null then 2 else new.is_active end, new.updated_at)
    on conflict do nothing;
    return new;
end $$;
create trigger note_version before insert or update on subscriptions
for each row execute function note_version_of_subscription();
