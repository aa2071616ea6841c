-- Sign-in by an identity provider; passwords with a version; what deleted streams were limited to.

alter table users
    -- Grows with each change of the password: access tokens that name another are void. No clock is asked.
    add column password_version bigint not null default 0;

-- Who an account is at an identity provider. A subject never changes and never goes to somebody else; names and mail
-- addresses do, so nobody is known by them.
create table user_identities (
    issuer varchar(255) not null,
    subject varchar(255) not null,
    user_id integer not null references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    last_login_at timestamptz not null default now(),
    primary key (issuer, subject)
);
create index user_identities_user_id_idx on user_identities (user_id);

-- Sign-ins that are under way, from the redirect to the identity provider until the browser is back; good once.
create table sign_ins (
    -- SHA-256 of what comes back in the address, and of what the browser keeps.
    state bytea primary key,
    browser bytea not null,
    -- What has to come back in the token, and what redeems the code.
    nonce varchar(128) not null,
    verifier varchar(128) not null,
    -- Where the browser goes then, with a code for which the challenge has to be met; null: tokens are the answer.
    return_to varchar(2048),
    challenge varchar(128),
    expires_at timestamptz not null
);
create index sign_ins_expires_at_idx on sign_ins (expires_at);

-- Codes that a page or a program redeems for tokens; good once.
create table sign_in_codes (
    hash bytea primary key,
    user_id integer not null references users (id) on delete cascade,
    challenge varchar(128) not null,
    expires_at timestamptz not null
);
create index sign_in_codes_expires_at_idx on sign_in_codes (expires_at);

-- Streams that are deleted and were limited to roles: their events stay, and so does the limit.
create table retired_streams (
    name varchar(128) primary key,
    retired_at timestamptz not null default now()
);
-- Without a row left, administrators alone see the events.
create table retired_stream_roles (
    stream varchar(128) not null references retired_streams (name) on delete cascade,
    role_id integer not null references roles (id) on delete cascade,
    primary key (stream, role_id)
);
create index retired_stream_roles_role_id_idx on retired_stream_roles (role_id);
