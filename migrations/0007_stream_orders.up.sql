-- What operators order goes through the table, so that whichever server runs a stream sees it. Both only grow.

alter table streams
    -- A start: begin, unless it runs.
    add column starts bigint not null default 0,
    -- A restart: end in order, then begin a new session.
    add column restarts bigint not null default 0;
