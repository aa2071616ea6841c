-- Own roles, streams that only some roles see, what streams are made of, and who changed what.

alter table roles
    add column built_in boolean not null default false,
    -- Names of permissions; those of built-in roles are in the program.
    add column permissions text[] not null default '{}';
update roles set built_in = name in ('admin', 'operator', 'viewer', 'agent');

-- Only these roles see the stream; none means all.
create table stream_roles (
    stream_id bigint not null references streams (id) on delete cascade,
    role_id integer not null references roles (id) on delete cascade,
    primary key (stream_id, role_id)
);
create index stream_roles_role_id_idx on stream_roles (role_id);

alter table streams
    -- The address with its credentials, sealed with the key in the data directory; null for streams of config.toml.
    add column sealed_source bytea,
    -- Grows with each change: what If-Match is compared with.
    add column revision bigint not null default 1;

create table audit_log (
    id bigserial primary key,
    at timestamptz not null default now(),
    -- Names and not references: an entry outlives what it is about.
    actor varchar(128) not null,
    action varchar(64) not null,
    target varchar(255) not null,
    outcome varchar(16) not null check (outcome in ('done', 'refused')),
    address varchar(64),
    request_id varchar(64)
);
create index audit_log_at_idx on audit_log (at);
