-- Nobody could tell them from administrators afterwards.
update users set disabled_at = coalesce(disabled_at, now())
    where id in (select user_id from user_identities where issuer = 'development');
drop table retired_stream_roles;
drop table retired_streams;
drop table sign_in_codes;
drop table sign_ins;
drop table user_identities;
alter table users drop column password_version;
