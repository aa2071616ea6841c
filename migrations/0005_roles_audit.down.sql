drop table audit_log;
alter table streams drop column revision, drop column sealed_source;
drop table stream_roles;
delete from roles where not built_in;
alter table roles drop column permissions, drop column built_in;
