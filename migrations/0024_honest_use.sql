-- What an honest use of the gateway needs. Forward only.

-- Whether anybody logs in from a place is asked for each place from which logins come (T-19, T-35).
create index known_source_place on known_source (source, last_at);
