-- Refresh tokens, one-time tokens by mail, and what own roles may do.

-- A family is one login; each refresh uses its newest token up. A used one that comes again revokes the family.
create table refresh_families (
    id bigserial primary key,
    user_id integer not null references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index refresh_families_user_id_idx on refresh_families (user_id);

create table refresh_tokens (
    hash bytea primary key,
    family_id bigint not null references refresh_families (id) on delete cascade,
    used_at timestamptz
);
create index refresh_tokens_family_id_idx on refresh_tokens (family_id);

-- Password resets and invitations: a token that a mail or an administrator hands on, good once.
create table one_time_tokens (
    hash bytea primary key,
    purpose varchar(16) not null check (purpose in ('reset', 'invite')),
    user_id integer references users (id) on delete cascade,
    -- The roles that an invitation gives.
    roles text[] not null default '{}',
    expires_at timestamptz not null
);
create index one_time_tokens_expires_at_idx on one_time_tokens (expires_at);
