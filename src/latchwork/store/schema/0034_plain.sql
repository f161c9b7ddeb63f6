-- Names are found and sorted as people read them: without case, accents and signs, as sync.names.plain does it.
CREATE FUNCTION plain(_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(normalize(replace(lower(_text), 'ß', 'ss'), NFKD), '[^[:alnum:] ]', '', 'g');
