drop table analysis_results;
drop table sessions;
drop table streams;
