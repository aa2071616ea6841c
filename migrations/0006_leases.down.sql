drop table stream_leases;
