alter table refresh_tokens drop column successor;
drop index users_email_lower_key;
alter table one_time_tokens drop column invited_by;
