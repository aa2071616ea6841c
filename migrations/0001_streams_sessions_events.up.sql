-- Streams, their sessions and the events of the sessions.

create table streams (
    id bigserial primary key,
    name varchar(128) not null unique,
    address text not null,
    settings jsonb not null default '{}',
    -- Brought in from config.toml at boot and read-only over HTTP.
    managed_by_config boolean not null default false,
    enabled boolean not null default true,
    desired_state varchar(16) not null default 'running' check (desired_state in ('running', 'stopped')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- A session outlives its stream, so `stream` is a name and not a reference.
create table sessions (
    id varchar(64) primary key,
    stream varchar(128) not null,
    started_at timestamptz not null,
    ended_at timestamptz,
    end_reason varchar(64),
    provenance jsonb not null default '{}',
    account jsonb not null default '{}',
    last_seq bigint not null default 0,
    epoch integer not null default 0
);
create index sessions_stream_started_at_idx on sessions (stream, started_at desc);
create index sessions_open_idx on sessions (id) where ended_at is null;

-- The columns that others read, `seq` (the number in the session) and `recorded_at` (when the event was made,
-- set once). A unique key of a partitioned table has to contain the partition key.
create table analysis_results (
    id bigserial not null,
    session_id varchar(64) not null,
    "timestamp" timestamptz not null,
    event varchar(32) not null,
    payload jsonb not null,
    seq bigint not null,
    recorded_at timestamptz not null,
    primary key (id, recorded_at),
    unique (session_id, seq, recorded_at)
) partition by range (recorded_at);
create index analysis_results_session_id_idx on analysis_results (session_id);
create index analysis_results_timestamp_idx on analysis_results ("timestamp");

-- Takes what no day's partition takes, so that an insert never fails for want of a partition.
create table analysis_results_default partition of analysis_results default;
