drop table retired_stream_roles;
drop table retired_streams;
drop table sign_in_codes;
drop table sign_ins;
drop table user_identities;
alter table users drop column password_version;
