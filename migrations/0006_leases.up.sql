-- Which server runs which stream. A row stays when its lease is over, so that `fence` only ever grows.

create table stream_leases (
    -- A name and not a reference: a stream that is removed while another server still stops it keeps its fence.
    stream varchar(128) primary key,
    -- A server's process: its identity is made anew at each start.
    owner varchar(64) not null,
    -- Rises with each owner. Who comes with an older one has lost the stream and does not know it yet.
    fence bigint not null check (fence > 0),
    -- By PostgreSQL's clock only. Minus infinity when it was given back.
    lease_until timestamptz not null
);
create index stream_leases_owner_idx on stream_leases (owner);
