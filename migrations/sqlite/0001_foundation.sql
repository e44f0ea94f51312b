-- Times are microseconds since 1970 (UTC), ids are UUIDs as 16 bytes, states and outcomes are the
-- codes of `DeliveryState` and `AttemptOutcome`. What was sealed by the vault is a blob.

create table tenants (
    id blob not null primary key,
    name text not null,
    -- Raised by every change of a subscription or an event type; an accept proves that it matched
    -- against the newest.
    catalogue_version bigint not null default 1,
    created_at bigint not null,
    deleted_at bigint
);
create unique index tenants_by_name on tenants (name) where deleted_at is null;

create table api_keys (
    id blob not null primary key,
    tenant_id blob not null,
    name text not null,
    hash blob not null,
    scopes bigint not null,
    created_at bigint not null,
    expires_at bigint
);
create unique index api_keys_by_hash on api_keys (hash);
create index api_keys_by_tenant on api_keys (tenant_id, id);

create table event_types (
    tenant_id blob not null,
    name text not null,
    group_name text not null,
    description text not null,
    created_at bigint not null,
    primary key (tenant_id, name)
);

create table subscriptions (
    id blob not null primary key,
    tenant_id blob not null,
    event_type text not null,
    url text not null,
    is_active bigint not null,
    description text not null,
    filters text not null,
    profile text not null,
    retry_schedule text not null,
    timeout_seconds bigint not null,
    headers blob,
    secrets blob not null,
    -- When it was last activated.
    active_since bigint not null,
    -- Deliveries opened up to then are discarded, however often it is reactivated.
    discard_through bigint,
    created_at bigint not null,
    updated_at bigint not null,
    -- Kept, so that its log can still be read.
    deleted_at bigint
);
create index subscriptions_by_tenant on subscriptions (tenant_id, id);

-- A row per node, summed when read: no row that all nodes fight for.
create table subscription_stats (
    subscription_id blob not null,
    node bigint not null,
    successful bigint not null,
    failed bigint not null,
    last_attempt_at bigint,
    primary key (subscription_id, node)
) without rowid;

-- made = the rows in `deliveries` + pruned, at any time.
create table tenant_stats (
    tenant_id blob not null,
    node bigint not null,
    made bigint not null,
    pruned bigint not null,
    primary key (tenant_id, node)
) without rowid;

create table events (
    tenant_id blob not null,
    id blob not null,
    event_type text not null,
    -- JSON as it came, compacted; null once payload retention took it.
    payload blob,
    created_at bigint not null,
    occurred_at bigint,
    expires_at bigint,
    resource_id text,
    metadata text,
    idempotency_key text,
    -- Where it was published in a trace, as a `traceparent`.
    trace_context text,
    request_hash blob not null,
    delivery_count bigint not null,
    -- While deliveries are still to be made: the last subscription that has one.
    fan_out_after blob,
    primary key (tenant_id, id)
);
create unique index events_by_key on events (tenant_id, idempotency_key) where idempotency_key is not null;
create index events_by_resource on events (tenant_id, resource_id, id) where resource_id is not null;
create index events_to_fan_out on events (id) where fan_out_after is not null;

create table deliveries (
    tenant_id blob not null,
    id blob not null,
    event_id blob not null,
    subscription_id blob not null,
    lane bigint not null,
    state bigint not null,
    reason text,
    -- When it is tried next: the truth about when.
    due_at bigint not null,
    -- Who dares before that: nobody.
    lease_until bigint not null,
    -- The fence: raised by every claim.
    claim bigint not null,
    -- The node of the last claim: known to be gone, its leases end early.
    node bigint not null,
    -- Claims in a row that left no trace.
    strikes bigint not null,
    -- Set just before a suspect is sent; found again, it proves the suspicion.
    marked bigint not null default 0,
    -- Tries since it was opened, and attempts in all.
    tries bigint not null,
    attempts bigint not null,
    created_at bigint not null,
    opened_at bigint not null,
    settled_at bigint,
    primary key (tenant_id, id)
) without rowid;
create unique index deliveries_by_event on deliveries (event_id, subscription_id);
create index deliveries_pending on deliveries (lane, due_at) where state = 0;
-- What was never delivered is a question that must not read through all that was.
create index deliveries_undelivered on deliveries (tenant_id, id) where state <> 1;

create table attempts (
    log_id integer primary key autoincrement,
    tenant_id blob not null,
    delivery_id blob,
    claim bigint,
    number bigint not null,
    started_at bigint not null,
    outcome bigint not null,
    http_status bigint,
    message text not null,
    url text not null,
    request_headers text not null,
    response_headers text not null,
    response_body blob,
    remote_address text,
    dns_us bigint,
    connect_us bigint,
    first_byte_us bigint,
    total_us bigint not null,
    -- It came after somebody else had settled the delivery.
    late bigint not null
);
create unique index attempts_by_delivery on attempts (delivery_id, claim) where delivery_id is not null;
create index attempts_of_tests on attempts (log_id) where delivery_id is null;
