-- Times are microseconds since 1970 (UTC), ids are UUIDs as 16 bytes, states and outcomes are the
-- codes of `DeliveryState` and `AttemptOutcome`. What was sealed by the vault is a blob.

create table tenants (
    id blob not null primary key,
    name text not null,
    -- Raised by every change of a subscription or an event type; an accept proves that it matched
    -- against the newest.
    catalogue_version bigint not null default 1,
    -- The wire format of what does not name one.
    default_profile text not null default 'standard',
    -- A JSON list of places in payloads that are shown only to who may see them.
    redacted_paths text not null default '[]',
    -- Seconds; 0: until they were delivered; null: as the installation says.
    payload_retention bigint,
    -- Whether it ever had a callback: events of others need not be looked up by their resource.
    has_callbacks bigint not null default 0,
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
    expires_at bigint,
    last_used_at bigint
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
    -- Null: as the wire format says.
    timeout_seconds bigint,
    headers blob,
    secrets blob not null,
    -- When it was last activated.
    active_since bigint not null,
    -- When its filter or format was last changed.
    filters_changed_at bigint not null,
    -- Deliveries opened up to then are discarded, however often it is reactivated.
    discard_through bigint,
    created_at bigint not null,
    updated_at bigint not null,
    -- Kept, so that its log can still be read.
    deleted_at bigint
);
create index subscriptions_by_tenant on subscriptions (tenant_id, id);

-- Subscriptions to one resource. Never changed.
create table callbacks (
    id blob not null primary key,
    tenant_id blob not null,
    resource_id text not null,
    url text not null,
    profile text not null,
    metadata text,
    -- A JSON list of names; null for all types.
    event_types text,
    created_at bigint not null,
    -- Kept, so that its log can still be read.
    deleted_at bigint
);
create index callbacks_by_resource on callbacks (tenant_id, resource_id);
create index callbacks_by_tenant on callbacks (tenant_id, id);

-- What signs a tenant's callbacks and one-off events, by wire format.
create table callback_secrets (
    tenant_id blob not null,
    profile text not null,
    -- Part of what the vault seals.
    id blob not null,
    secrets blob not null,
    updated_at bigint not null,
    primary key (tenant_id, profile)
) without rowid;

-- Every version of a wire format that was ever used: a delivery keeps the one it was made with.
create table profiles (
    -- The start of the SHA-256 of its file.
    version bigint not null primary key,
    name text not null,
    source text not null,
    -- When a process that serves last started with it.
    used_at bigint not null
);

-- What is counted of a subscription or a callback: a row per node, summed when read, so that there is
-- no row that all nodes fight for.
create table target_stats (
    target_id blob not null,
    node bigint not null,
    successful bigint not null,
    failed bigint not null,
    last_attempt_at bigint,
    primary key (target_id, node)
) without rowid;

-- Events that a subscription's filter turned away. Written by accepts, as the former is by outcomes.
create table filter_stats (
    subscription_id blob not null,
    node bigint not null,
    turned_away bigint not null,
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
    -- Where this one event goes besides, and in which wire format.
    one_off_url text,
    one_off_profile text,
    -- Of what was asked for, if it may be asked for again: with a key.
    request_hash blob,
    delivery_count bigint not null,
    -- While subscriptions are still to be gone through, to make deliveries or to count those whose filter
    -- turned the event away: the last one that was.
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
    -- The code of `TargetId` and the subscription, the callback or, for a one-off URL, the event.
    target_kind bigint not null,
    target_id blob not null,
    -- The version of the wire format that it was made with.
    profile bigint not null,
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
    -- Raised just before a suspect is sent alone; found again and again, it proves the suspicion.
    marks bigint not null default 0,
    -- Tries since it was opened, and attempts in all.
    tries bigint not null,
    attempts bigint not null,
    created_at bigint not null,
    opened_at bigint not null,
    settled_at bigint,
    primary key (tenant_id, id)
) without rowid;
create unique index deliveries_by_event on deliveries (event_id, target_id);
-- With the end of the lease: claims pass over what is in flight without looking at it.
create index deliveries_pending on deliveries (lane, due_at, lease_until) where state = 0;
-- What failed is counted, and told, in the order in which it did.
create index deliveries_failed on deliveries (settled_at, id) where state = 2;
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

-- Sending again what happened in a period, and how far it is.
create table replays (
    id blob not null primary key,
    tenant_id blob not null,
    -- What is sent again, and how many a second.
    subscription_id blob,
    event_type text,
    status text not null,
    since bigint not null,
    until bigint not null,
    rate bigint not null,
    -- The code of `ReplayState`.
    state bigint not null,
    -- What was found when it was made, and whether that was all.
    total bigint not null,
    total_is_exact bigint not null,
    -- 0: deliveries are gone through, 1: events of which there may be none; and the last that was.
    stage bigint not null,
    cursor_id blob not null,
    -- When it goes on.
    next_at bigint not null,
    replayed bigint not null,
    skipped bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    finished_at bigint
);
create index replays_by_tenant on replays (tenant_id, id);
create index replays_running on replays (next_at) where state = 0;

-- Ended deliveries that were opened again, or made later, by hand or by a replay.
create table reopenings (
    delivery_id blob not null,
    at bigint not null,
    tenant_id blob not null,
    -- How many there had been.
    attempts bigint not null,
    replay_id blob,
    primary key (delivery_id, at)
) without rowid;

-- What happened in each minute and each hour, counted: of a subscription, of a tenant (no target), of all (neither).
create table rollups (
    tenant_id blob not null,
    target_id blob not null,
    -- Seconds: 60 or 3600.
    width bigint not null,
    at bigint not null,
    -- A `Tally` as JSON.
    tally text not null,
    primary key (tenant_id, target_id, width, at)
) without rowid;
create index rollups_by_time on rollups (width, at);

-- How far has been counted; one row.
create table rollup_marks (
    id bigint not null primary key,
    -- Attempts up to this one.
    log_id bigint not null,
    -- Failed deliveries up to this one.
    failed_at bigint not null,
    failed_id blob not null,
    -- Events accepted before.
    events_before bigint not null
);

-- Subscriptions whose attempts fail, all since the first that is meant.
create table failing (
    subscription_id blob not null primary key,
    tenant_id blob not null,
    since bigint not null,
    last_at bigint not null,
    attempts bigint not null,
    -- How often somebody was warned of it.
    warnings bigint not null
);
create index failing_by_tenant on failing (tenant_id);

-- What the sender is still to be told, as events of its own tenant.
create table notices (
    id blob not null primary key,
    event_type text not null,
    -- JSON.
    payload text not null,
    at bigint not null
);

-- Who changed, sent again or looked at what. Rows are only added.
create table audit (
    tenant_id blob not null,
    id blob not null,
    at bigint not null,
    -- The code of `Actor`; its id and name, if it has such.
    actor bigint not null,
    actor_id blob,
    actor_name text,
    action text not null,
    object_id text,
    request_id text,
    remote_address text,
    primary key (tenant_id, id)
) without rowid;

-- Whoever signs in with a password.
create table users (
    id blob not null primary key,
    name text not null,
    role text not null,
    -- Null for operators.
    tenant_id blob,
    -- A PHC string.
    password text not null,
    created_at bigint not null,
    -- What was signed in with another password is over.
    password_set_at bigint not null
);
create unique index users_by_name on users (name);
create index users_by_tenant on users (tenant_id, id);

-- Who is signed in: found by the SHA-256 of what the browser has.
create table sessions (
    hash blob not null primary key,
    -- JSON.
    data text not null,
    ends_at bigint not null
) without rowid;
create index sessions_by_end on sessions (ends_at);

-- Links that sign in once: found by the SHA-256 of what is in the URL. Kept while somebody may be signed in by one.
create table portal_links (
    hash blob not null primary key,
    id blob not null,
    tenant_id blob not null,
    role text not null,
    expires_at bigint not null,
    used_at bigint
) without rowid;
create unique index portal_links_by_id on portal_links (id);
create index portal_links_by_end on portal_links (expires_at);
create index portal_links_by_tenant on portal_links (tenant_id);
