-- Rare kinds of events and quiet streams are found without reading those of all others. Partitions that there are get the
-- indexes here, new ones with everything else of the table.

-- Nearly all events are analysed frames: an index of the others costs next to nothing.
create index analysis_results_event_id_idx on analysis_results (event, id) where event <> 'frameAnalyzed';
create index analysis_results_stream_id_idx on analysis_results ((payload ->> 'stream'), id);
