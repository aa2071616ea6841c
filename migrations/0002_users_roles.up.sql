-- Accounts. `password` is a bcrypt hash.

create table users (
    id serial primary key,
    username varchar(64) not null unique,
    email varchar(255) unique,
    password varchar(255) not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    -- Tokens that were issued before are void.
    password_changed_at timestamptz not null default now()
);

create table roles (
    id serial primary key,
    name varchar(32) not null unique
);
insert into roles (name) values ('admin'), ('operator'), ('viewer'), ('agent');

create table user_roles (
    user_id integer not null references users (id) on delete cascade,
    role_id integer not null references roles (id) on delete cascade,
    primary key (user_id, role_id)
);
create index user_roles_role_id_idx on user_roles (role_id);
