drop table one_time_tokens;
drop table refresh_tokens;
drop table refresh_families;
