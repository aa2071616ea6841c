drop table ws_tickets;
drop table api_keys;
