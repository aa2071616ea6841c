drop table made_once;
