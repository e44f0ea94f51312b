-- Which programs may serve this database, and with which master key.

-- One row.
create table installation (
    id integer not null primary key,
    -- The least version of a program that may serve: 1,000,000 × major + 1,000 × minor + patch.
    least_version bigint not null,
    -- A known text, sealed with the master key: who cannot open it has another key. Null until somebody with a key came.
    canary blob
);
insert into installation (id, least_version) values (1, 2000);

-- A row for each node by its number, which shows that a commit is possible.
create table commit_proofs (
    node bigint not null primary key,
    number bigint not null
) without rowid;

-- What was made in a tenant while it was being deleted ends with it.
delete from api_keys where tenant_id in (select id from tenants where deleted_at is not null);
delete from users where tenant_id in (select id from tenants where deleted_at is not null);
delete from portal_links where tenant_id in (select id from tenants where deleted_at is not null);
