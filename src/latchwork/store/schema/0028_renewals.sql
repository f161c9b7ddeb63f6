-- A policy holds the site's clock for some years only, so that its bank is told it again from time to time.

ALTER TABLE banks ADD COLUMN policy_asked_at timestamptz NOT NULL DEFAULT now();

-- Of several services that would do, wall and cloud take the one that was named first.
ALTER TABLE services ADD COLUMN place int NOT NULL DEFAULT 0;
