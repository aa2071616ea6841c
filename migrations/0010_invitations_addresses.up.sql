-- Who invites, mail addresses that are one however they are written, and which refresh token came of which.

-- Nobody can tell any more who made those of before, and whether they may still invite.
delete from one_time_tokens where purpose = 'invite';
alter table one_time_tokens
    -- Who made an invitation: it is good no longer than they may invite. Null for a reset.
    add column invited_by integer references users (id) on delete cascade;
create index one_time_tokens_invited_by_idx on one_time_tokens (invited_by);

-- Accounts are looked up by their address in any letters, so an address that two have leads to the wrong one for somebody.
-- The oldest account keeps it; the others have none until somebody gives them one, and the audit log names them.
do $$
declare
    account record;
begin
    for account in
        update users u set email = null
        where exists (
            select 1 from users older
            where lower(older.email) = lower(u.email) and (older.created_at, older.id) < (u.created_at, u.id))
        returning u.id, u.username
    loop
        -- What was mailed there is void, as with every change of an address.
        delete from one_time_tokens where purpose = 'reset' and user_id = account.id;
        insert into audit_log (actor, action, target, outcome)
            values ('kinora migrate', 'user.address_removed', account.username, 'done');
    end loop;
end
$$;
create unique index users_email_lower_key on users (lower(email));

alter table refresh_tokens
    -- The token that was given for a used one; null: none is good in its place.
    add column successor bytea;
