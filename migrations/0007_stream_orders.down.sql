alter table streams drop column restarts, drop column starts;
