-- Which programs may serve this database, and with which master key.

-- Programs of version 0.1 know nothing of that. They register in `nodes`: where that is missing, they end at their start.
-- None serves now, as the migrator has seen, and none begins to before this is committed.
lock table nodes in access exclusive mode;
do $$ begin
    if exists (
        select from nodes n
            join pg_locks l on l.locktype = 'advisory' and l.granted and l.objsubid = 2
                and l.classid::bigint = 1348424260 and l.objid::bigint = n.number
            join pg_database d on d.oid = l.database
        where d.datname = current_database()
    ) then
        raise exception 'Postrider 0.1 serves this database; stop all its processes first, then migrate, then start';
    end if;
end $$;
alter table nodes rename to cluster_nodes;
alter index nodes_pkey rename to cluster_nodes_pkey;

-- What programs of version 0.1 changed of a subscription was noted by this, while they could run beside newer ones.
drop trigger note_version on subscriptions;
drop function note_version_of_subscription;

-- One row.
create table installation (
    id bigint not null primary key,
    -- The least version of a program that may serve: 1,000,000 × major + 1,000 × minor + patch.
    least_version bigint not null,
    -- A known text, sealed with the master key: who cannot open it has another key. Null until somebody with a key came.
    canary bytea
);
insert into installation (id, least_version) values (1, 2000);

-- A row for each node by its number, which shows that a commit is possible.
create table commit_proofs (
    node bigint not null primary key,
    number bigint not null
);

-- What was made in a tenant while it was being deleted ends with it.
delete from api_keys where tenant_id in (select id from tenants where deleted_at is not null);
delete from users where tenant_id in (select id from tenants where deleted_at is not null);
delete from portal_links where tenant_id in (select id from tenants where deleted_at is not null);
