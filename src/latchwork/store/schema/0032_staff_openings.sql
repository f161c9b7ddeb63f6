-- Recipients are shown which of the staff's openings were of the door that their thing was behind.
CREATE INDEX openings_of_staff ON openings (bank, compartment) WHERE purpose IN ('service', 'check');
