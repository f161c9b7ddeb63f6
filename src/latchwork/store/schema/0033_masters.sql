-- The master secret can be replaced: the first one's mark stands in master_mac, those of its successors here.
ALTER TABLE installation
    ADD COLUMN later_macs  bytea[] NOT NULL DEFAULT '{}',
    ADD COLUMN later_since timestamptz[] NOT NULL DEFAULT '{}';
