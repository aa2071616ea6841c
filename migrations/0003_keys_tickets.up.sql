-- Keys of agents, and tickets of browsers. Both are kept as SHA-256: they are random, so a slow hash adds nothing.

create table api_keys (
    -- The public part, which is in the key.
    id varchar(16) primary key,
    name varchar(64) not null,
    hash bytea not null,
    owner_id integer not null references users (id) on delete cascade,
    -- What the key is limited to; null is all that its owner may see.
    streams text[],
    events text[],
    created_at timestamptz not null default now(),
    last_used_at timestamptz,
    revoked_at timestamptz
);
create index api_keys_owner_id_idx on api_keys (owner_id);

create table ws_tickets (
    hash bytea primary key,
    user_id integer not null references users (id) on delete cascade,
    -- The key that asked for it, with its limits.
    key_id varchar(16) references api_keys (id) on delete cascade,
    -- The login that asked for it: with its end the subscription ends.
    family_id bigint,
    -- The query of the subscription that it opens.
    filter text not null,
    -- The page that asked for it; null is a program.
    origin varchar(255),
    expires_at timestamptz not null,
    -- When the token that asked for it ends; null is never.
    session_until timestamptz
);
create index ws_tickets_expires_at_idx on ws_tickets (expires_at);
