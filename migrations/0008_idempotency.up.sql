-- Calls that make something and came with a key of their own, so that a second try is answered and makes nothing.

create table made_once (
    user_id integer not null references users (id) on delete cascade,
    -- SHA-256 of the key that the caller chose.
    key bytea not null,
    begun_at timestamptz not null default now(),
    -- What was asked and what was answered, sealed: it may hold a secret that is told once. Null while it is done.
    answer bytea,
    primary key (user_id, key)
);
create index made_once_begun_at_idx on made_once (begun_at);
